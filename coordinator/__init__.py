"""PROPOSES: asks the search what to try, sends the evaluations out, collects, tells, reports."""
