-- Announce every change of the two tables, with what their queries filter and sort by. Applied again, this repairs what
-- coherence.watched finds wrong with them.

SELECT coherence.watch('public.anomalies', 'anomalies', '{transaction_id,account_id,status,score,detected_at}');
SELECT coherence.watch('public.transactions', 'transactions', '{transaction_id,account_id,occurred_at}');
