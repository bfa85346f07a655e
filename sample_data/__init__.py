"""SYNTHETIC sample data: one quarter of the fictional Nordwind Insurance, its generator and its known truth.

No person, company, contract or conversation in it is real. `python -m sample_data.generate` writes `data/` (traces,
bills, records), `prices.csv` (the contract that the price book should know) and `truth.json` (what a reader of
the files must find). The generator imports nothing of the other packages and has its own copy of the list prices,
so that the truth does not depend on the code that is tested against it.
"""
