//! The log as people read it: incidents instead of rows, and what the school
//! has noted about them.
