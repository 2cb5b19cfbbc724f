"""The commands of the command line, a module each; what a module needs it loads when it runs."""
