//! What the server writes beside its answers.
