//! Stage 4: what is observed beside the requests.
