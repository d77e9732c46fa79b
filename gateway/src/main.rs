//! The `trellis` command; everything it does is in [`trellis_gateway::cli`].

/// The gateway allocates and frees on every request and from every worker: mimalloc serves that from per-thread heaps, where glibc's
/// allocator takes locks and fragments under many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    trellis_gateway::cli::run()
}
