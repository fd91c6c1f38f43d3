"""How good the scores are: metrics, their uncertainty, the curves and groups behind them. NumPy only."""
