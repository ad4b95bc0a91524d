//! The turns of the core's loop, as far as the core hears of them; the rest is its driver's to tell.

use leveret_storage::io::BufPool;

use super::{Figure, Form, Glance, family};

family! { [P: BufPool] of: &Glance<'_, P>;
    // 0 if none took a millisecond.
    Figure::keyed("longest_turn_us").column("LONGEST TURN", Form::Turn)
        => of.core.longest_turn / 1000;
}
