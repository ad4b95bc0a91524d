//! Which connection carries a request: one for each core of the broker, made when it is first
//! wanted.
//!
//! Any core takes any request and forwards it, so a route is never wrong, only longer. The order
//! of a partition's requests is their owner's care: while any of them is in flight, the next one
//! names the same core.
//!
//! Refuses to: open connections, or to know more cores than the broker has.

use super::ServerHello;

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Over the connection that was there first.
    First,
    /// Over the one that this core serves.
    Core(u16),
    /// Over one that is to be opened before, and to be served by this core; then ask again.
    Open(u16),
}

/// How far the connection to a core has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nobody wanted it.
    Untried,
    Open,
    /// It could not be had: the first connection does.
    Closed,
}

/// The connections of one user to one broker, until any of them fails.
#[derive(Clone, Debug)]
pub struct Routes {
    /// Core that serves the first connection.
    first: u16,
    /// By core; as many as the broker has. Empty if there is only ever one connection.
    ways: Vec<Way>,
}

impl Routes {
    /// Routes from a first connection. Without `per_core` there is no other.
    #[must_use]
    pub fn new(server: &ServerHello, per_core: bool) -> Self {
        let count = if per_core { server.cores.into() } else { 0 };
        Self {
            first: server.core,
            ways: vec![Way::Untried; count],
        }
    }

    /// The route of a request for what `core` owns, or for nothing in particular. A core that the
    /// broker does not have is nothing in particular.
    #[must_use]
    pub fn route(&self, core: Option<u16>) -> Route {
        let Some(core) = core.filter(|core| *core != self.first) else {
            return Route::First;
        };
        match self.ways.get(usize::from(core)) {
            Some(Way::Untried) => Route::Open(core),
            Some(Way::Open) => Route::Core(core),
            Some(Way::Closed) | None => Route::First,
        }
    }

    /// What became of [`Route::Open`]: the handshake of the new connection, or `None` if there is
    /// no connection. Whether it is of use: the broker may have had it served elsewhere, and then
    /// it can be closed.
    ///
    /// # Panics
    /// If it was not asked for.
    pub fn handle_opened(&mut self, core: u16, server: Option<&ServerHello>) -> bool {
        let way = &mut self.ways[usize::from(core)];
        assert_eq!(*way, Way::Untried, "a connection to a core is opened once");
        let there = server.is_some_and(|server| server.core == core);
        *way = if there { Way::Open } else { Way::Closed };
        there
    }
}

/// The core that owns everything that is to go over one connection, if it is one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoleOwner {
    /// Nothing was named.
    #[default]
    Nobody,
    /// All of it is this core's.
    Core(u16),
    /// It is several cores', or not known whose.
    Several,
}

impl SoleOwner {
    /// One thing more, and the core that owns it, if that is known.
    pub fn add(&mut self, owner: Option<u16>) {
        *self = match (*self, owner) {
            (Self::Nobody, Some(core)) => Self::Core(core),
            (Self::Core(one), Some(core)) if one == core => *self,
            _ => Self::Several,
        };
    }

    /// The core to be served by.
    #[must_use]
    pub fn core(self) -> Option<u16> {
        match self {
            Self::Core(core) => Some(core),
            Self::Nobody | Self::Several => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(core: u16) -> ServerHello {
        ServerHello {
            server_version: String::new(),
            max_batch_len: 1,
            core,
            cores: 4,
        }
    }

    #[test]
    fn each_core_has_a_connection_once_it_is_wanted_and_no_core_more() {
        let mut routes = Routes::new(&server(2), true);
        assert_eq!(routes.route(None), Route::First);
        assert_eq!(routes.route(Some(2)), Route::First, "it is there");
        assert_eq!(routes.route(Some(4)), Route::First, "no such core");
        assert_eq!(routes.route(Some(0)), Route::Open(0));
        assert!(routes.handle_opened(0, Some(&server(0))));
        assert_eq!(routes.route(Some(0)), Route::Core(0));
        assert_eq!(routes.route(Some(3)), Route::Open(3));
    }

    #[test]
    fn a_sole_owner_is_one_that_owns_all() {
        let of = |owners: &[Option<u16>]| {
            let mut sole = SoleOwner::default();
            owners.iter().for_each(|owner| sole.add(*owner));
            sole.core()
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[Some(1), Some(1)]), Some(1));
        assert_eq!(of(&[Some(1), Some(0), Some(1)]), None);
        assert_eq!(of(&[Some(1), None]), None);
    }

    #[test]
    fn what_cannot_be_had_or_is_served_elsewhere_is_not_asked_for_again() {
        let mut routes = Routes::new(&server(0), true);
        assert!(!routes.handle_opened(1, None));
        assert!(!routes.handle_opened(3, Some(&server(0))));
        assert_eq!(routes.route(Some(1)), Route::First);
        assert_eq!(routes.route(Some(3)), Route::First);
        let single = Routes::new(&server(0), false);
        assert_eq!(single.route(Some(1)), Route::First);
    }
}
