mod docket;
mod held;
mod quiet;
mod race;

use super::testing::*;
