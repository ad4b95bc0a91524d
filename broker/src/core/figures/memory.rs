//! Memory: pools, each with its bound. A status shows what requests and cached records take together.

use leveret_storage::io::BufPool;

use super::{Figure, Form, Glance, family};

const USED: &str = "leveret_memory_used_bytes";
const USED_HELP: &str = "Memory taken from a pool";
const BUDGET: &str = "leveret_memory_budget_bytes";
const BUDGET_HELP: &str = "What a pool of memory may come to";

family! { [P: BufPool] of: &Glance<'_, P>;
    Figure::keyed("memory_used").column("MEMORY", Form::SizeOf("memory_budget"))
        => of.core.permits.held() as u64 + of.stats.store.tail_bytes;
    Figure::keyed("memory_budget")
        => of.core.permits.total() + of.core.settings.cache_bytes;
    Figure::pool(USED, USED_HELP, "requests") => of.core.permits.held();
    Figure::pool(USED, USED_HELP, "cache") => of.stats.store.tail_bytes;
    Figure::pool(USED, USED_HELP, "responses") => of.core.answers.account.total();
    Figure::pool(BUDGET, BUDGET_HELP, "requests") => of.core.permits.total();
    Figure::pool(BUDGET, BUDGET_HELP, "cache") => of.core.settings.cache_bytes;
    Figure::pool(BUDGET, BUDGET_HELP, "responses") => of.core.answers.account.budget();
}
