mod brakes;
mod contradictions;
mod docket;
mod held;
mod quiet;
mod race;
mod reads;
mod turns;

use super::testing::*;
