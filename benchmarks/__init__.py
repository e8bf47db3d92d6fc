"""How fast it is, beside something that shows what the figure means: `make bench`, or `python -m benchmarks --list`.

Every row holds two things that were measured in turn on the same servers in the same run. Read the ratio of the
medians: it says something about the code, while a median alone says more about the machine and about what else runs on
it. A goal that is not met is printed as short; the exit code is 0 all the same. `--json FILE` keeps every round and
is written after each benchmark. The full sizes take long: run them part by part, as in
`python -m benchmarks --full --only throughput --json benchmarks/results/throughput.json`.

- throughput: events per second of real workers, all events from the word to go on until the last one is committed. The
  topics were filled while the workers stood still, so reading, decoding, storing, scoring and acknowledging is all that
  counts.
  - floor: the same events already decoded, only inserted, 5,000 in a transaction, by as many processes, into a table
    with the same history and indexes. Ratio 1 would mean that everything else costs nothing. Goal: 0.5 or more.
  - plain worker: what one writes first, a FastStream handler and an ORM transaction for each event. Goal: 60 or more.
- hot SMB: one SMB has a very long window and gets a fifth of all events, beside traffic that is spread evenly. One
  worker, because two can't share a single partition. Goal: 0.9 or more.
- long history: the same traffic on a database with ten times the events in the same 180 days, so that every SMB has ten
  times as many. Goal: 0.8 or more.
- latency: milliseconds from publishing an event to reading its announcement; one worker, 500 events per second. Echo:
  a process that sends every record back, through the same broker. Goal: at most 4 times the echo's p99.
- recalculation: seconds from the trigger to the end of the run that writes every score, two workers. Bare UPDATE: one
  column of as many wide rows without CHECK constraints, by two processes and by one statement. Goal: at most 1.5 times
  two processes.
- footprint: memory of one worker after it has read events (150 MB or less; 1 MB is 1,000,000 bytes), and seconds from
  the start of its process to /readyz 200 (2 or less). These stand alone.

Before each measurement the database writes a checkpoint, so that everybody meets equally cold pages; fsync is on.
Modules: `sizes`, `stage` (servers, installations), `processes`, `data`, `traffic`, `publishing`, `report`, one for each
benchmark, and one for each thing beside it (`floor`, `plain_worker`, `echo`).
"""
