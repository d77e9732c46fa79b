//! What is sent to a collector, and what becomes of it when the collector does not take it.
