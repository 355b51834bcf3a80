mod brakes;
mod docket;
mod held;
mod quiet;
mod race;
mod turns;

use super::testing::*;
