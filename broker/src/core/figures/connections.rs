//! Connections: how many there are, and how many were closed or turned away, and why.

use leveret_storage::io::BufPool;

use super::{Figure, Form, Glance, family};

family! { [P: BufPool] of: &Glance<'_, P>;
    Figure::gauge("leveret_connections", "Open connections")
        .key("connections")
        .column("CONNECTIONS", Form::Number)
        => of.core.sessions.len();
    Figure::gauge("leveret_connections_greeting", "Open connections that have not said hello")
        => of.core.sessions.greeting();
    Figure::counter("leveret_connections_accepted", "Connections accepted")
        => of.core.accepted;
    Figure::counter(
        "leveret_connections_silent_closed",
        "Connections closed because too many had not said hello",
    ) => of.core.hello_evictions;
    Figure::counter(
        "leveret_connections_slow_closed",
        "Connections closed because a body came too slowly while others waited for memory",
    ) => of.core.slow_bodies;
    Figure::counter(
        "leveret_connections_unread_closed",
        "Connections closed because they took no answers while the core had too many",
    ) => of.core.unread.dropped();
    Figure::counter(
        "leveret_connections_idle_closed",
        "Connections closed because they were idle for `connections.idle.timeout`",
    ) => of.core.idle_closed;
}
