-- Announce every change of the two tables. Applied again, this repairs what coherence.watched finds wrong with them.

SELECT coherence.watch('public.anomalies', 'anomalies');
SELECT coherence.watch('public.transactions', 'transactions');
