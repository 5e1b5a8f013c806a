"""`anomaly-cache doctor`: what is wrong with a deployment, and what helps."""
