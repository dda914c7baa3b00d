mod querylog;
