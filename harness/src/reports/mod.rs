//! Stage 6, pure: from a summary and its cells to pages and plots.
