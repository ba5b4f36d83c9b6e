//! Work that takes the processor for long.

/// Bodies from this size on are converted where waiting does not hold up other requests, a few at a time.
pub(crate) const LARGE_BODY: usize = 256 << 10;

/// Runs `work` on `bytes` of input so that, when that takes long, other requests go on meanwhile.
pub(crate) fn off_the_hot_path<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LARGE_BODY { work() } else { tokio::task::block_in_place(work) }
}
