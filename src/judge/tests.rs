mod absences;
mod brakes;
mod contradictions;
mod docket;
mod held;
mod opting;
mod quiet;
mod race;
mod reads;
mod turns;

use super::testing::*;
