"""A language other than English: the profile nepali-mbert on a few sentences in Nepali.

python examples/nepali.py [BASE_MODEL]
"""

import sys
from pathlib import Path

from app.client import Tunesmith

DATA = Path(__file__).parent / "data" / "nepali_opinions.csv"
# The profile's own is bert-base-multilingual-cased, which knows Nepali; minilm-l6 only shows that it runs.
BASE_MODEL = sys.argv[1] if len(sys.argv) > 1 else "minilm-l6"

with Tunesmith() as ts:
    dataset = ts.upload_dataset(DATA, name="Nepali opinions", test_fraction=0.2, validation_fraction=0.2)
    for warning in dataset.profile.warnings:
        print(f"note: {warning.detail}")
    job = ts.train(
        "nepali", dataset, profile="nepali-mbert", base_model=BASE_MODEL, hyperparameters={"num_train_epochs": 3}
    )
    job.wait()
    if job.result is None:
        sys.exit(f"{job.id} {job.status}: {job.status_reason}")
    for resolution in job.resolutions[:3]:
        print(f"{resolution.field} = {resolution.value}: {resolution.reason}")
    print(ts.predict("nepali", "यो किताब धेरै राम्रो छ।").predictions[0].label)
