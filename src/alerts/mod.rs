//! Telling somebody: which look-ups are worth a word, to whom, how, and when.
