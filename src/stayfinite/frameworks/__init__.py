"""The only room that imports a framework: values and Protocols, and one folder per framework."""
