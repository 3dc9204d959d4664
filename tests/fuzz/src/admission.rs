//! The head of a request on its way to a provider: the guard, credentials, the path, the key.

/// What must hold stands beside what it is about, in the gateway.
pub fn check(input: &[u8]) {
    gateway::attack::check(input);
}
