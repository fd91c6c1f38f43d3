"""What the simulated table holds: the schema, and the levels that its categories are drawn from."""

from __future__ import annotations

from mlops.schema import Column, Derived, Schema

PLANS = ("Basic", "Standard", "Premium", "Family")
PAYMENTS = ("Card", "Direct debit", "Wallet", "Voucher")
DEVICES = ("Phone", "Television", "Computer", "Tablet", "Console")

SCHEMA = Schema(
    columns=(
        Column("customer_id", "id", required=True),
        Column("snapshot", "time", required=True),
        Column("plan", "category", levels=PLANS, required=True),
        Column("price", "number", min=0, max=500, required=True),
        Column("discount", "number", min=0, max=100, required=True),
        Column("payment_method", "category", levels=PAYMENTS, required=True),
        Column("auto_renew", "boolean", required=True),
        Column("device", "category", levels=DEVICES, required=True),
        Column("region", "category"),
        Column("age", "number", min=16, max=110),
        Column("signup_date", "date", required=True),
        Column("tenure_months", "number", min=0, max=600, required=True),
        Column("sessions", "number", min=0, max=3000, required=True),
        Column("sessions_previous", "number", min=0, max=3000),
        Column("minutes", "number", min=0, max=44640),
        Column("days_since_last_session", "number", min=0, max=90, required=True),
        Column("tickets", "number", min=0, max=100, required=True),
        Column("late_payments", "number", min=0, max=12, required=True),
        Column("nps", "number", min=0, max=10),
        Column("comment", "text"),
        Column("churned", "target", positive="1", negative="0"),
        Column("true_probability", "truth", min=0, max=1),
    ),
    derived=(
        Derived("minutes_per_session", "ratio", ("minutes", "sessions")),
        Derived("sessions_change", "difference", ("sessions", "sessions_previous")),
        Derived("tickets_per_session", "ratio", ("tickets", "sessions")),
    ),
)
"""The table of `simulate`. Prices in euros a month before the discount (per cent); sessions, minutes and tickets of the
30 days before the snapshot; late payments of the last 12 months; churned within the 30 days after the snapshot."""
