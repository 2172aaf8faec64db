//! DLF.
