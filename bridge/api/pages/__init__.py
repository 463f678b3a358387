"""The tenants' page: what they have, what happened, and the ways to deposit and to pay."""
