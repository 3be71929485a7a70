"""What a run is and when it is stale: experiments, results, stages, witnesses, digests, places."""
