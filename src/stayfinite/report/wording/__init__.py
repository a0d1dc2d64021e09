"""The sentences of an incident, made of facts.

A file for each kind of fact: trials, fixes, evidence. Whatever the other rooms find is an enum, a
number or a name; the words for it are here.
"""
