//! Made-up motion and stamps.
