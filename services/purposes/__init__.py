"""What a site may measure: one file a purpose, and the closed list a site declares from.

A purpose may offer `Limits`, a pydantic model of the `limits` its assets take in a site file.
"""
