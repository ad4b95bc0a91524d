//! A toy, there in tests only: it shows what a new figure touches. This file alone, or, for a family that is
//! new, this and its line in the list; what the tests look into was not touched.

use leveret_storage::io::BufPool;

use super::{Figure, Form, Glance, family};

family! { [P: BufPool] of: &Glance<'_, P>;
    Figure::gauge("leveret_toy_ears", "Two for each core that there is")
        .key("toy_ears")
        .column("EARS", Form::Number)
        => 2 * u64::from(of.core.cores);
}
