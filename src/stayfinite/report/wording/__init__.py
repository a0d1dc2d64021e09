"""The sentences of an incident, made of facts.

One file for each kind of fact: findings, trials, fixes, evidence. The other rooms pass
enumerations, numbers and names; the sentences are here.
"""
