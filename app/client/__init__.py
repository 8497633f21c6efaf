"""The Python client of the HTTP API; the command line is written on it.

ts = Tunesmith()
job = ts.train("customer-messages", "messages.csv")
job.wait()
print(ts.predict("customer-messages", "Where is my parcel?").predictions[0].label)
"""

from app.client.jobs import TrainingJob
from app.client.service import Tunesmith
from app.transport import ApiError, ClientError, Misconfigured, Unreachable

__all__ = ["ApiError", "ClientError", "Misconfigured", "TrainingJob", "Tunesmith", "Unreachable"]
