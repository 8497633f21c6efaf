"""Example bodies of the OpenAPI page."""

from typing import Any

_DATASET = "ds_019302f4c8d27c31a3b1f0e4d5c6b7a8"

TRAIN: dict[str, Any] = {
    "smallest": {
        "summary": "Everything by default",
        "value": {"model": "customer-messages", "dataset_id": _DATASET},
    },
    "offline": {
        "summary": "The small encoder that ships with the worker, three epochs",
        "value": {
            "model": "customer-messages",
            "dataset_id": _DATASET,
            "base_model": "minilm-l6",
            "hyperparameters": {"num_train_epochs": 3, "early_stopping_patience": 2},
        },
    },
    "profile": {
        "summary": "Defaults in one word, with one of them changed",
        "value": {
            "model": "tweets",
            "dataset_id": _DATASET,
            "profile": "twitter-bert",
            "hyperparameters": {"num_train_epochs": 2},
        },
    },
    "imbalanced": {
        "summary": "Rare labels matter: balanced weights, judged by the recall of one label",
        "value": {
            "model": "complaints",
            "dataset_id": _DATASET,
            "hyperparameters": {"class_weights": "balanced", "metric_for_best_model": "recall:urgent"},
            "metadata": {"team": "support"},
        },
    },
    "tasks": {
        "summary": "Two tasks at once: one encoder, a head and a dataset for each",
        "value": {
            "model": "tweets",
            "dataset_id": _DATASET,
            "family": {
                "type": "multitask",
                "name": "sentiment",
                "loss_weight": 0.7,
                "tasks": {"emotion": {"dataset_id": _DATASET[:-1] + "9", "loss_weight": 0.3}},
            },
        },
    },
    "continue": {
        "summary": "Train on from a version of your own",
        "value": {
            "model": "sentiment",
            "dataset_id": _DATASET,
            "base_model": "model:sentiment@champion",
            "hyperparameters": {"learning_rate": 1e-5, "num_train_epochs": 2},
        },
    },
}

PREDICT: dict[str, Any] = {
    "one": {"summary": "One text", "value": {"model": "customer-messages", "inputs": "Where is my parcel?"}},
    "many": {
        "summary": "Several texts, with the two most probable labels",
        "value": {
            "model": "sentiment@champion",
            "inputs": ["Lovely, would buy again.", "It broke on the first day."],
            "top_k": 2,
        },
    },
}

PREDICT_NAMED: dict[str, Any] = {
    name: {
        "summary": example["summary"],
        "value": {key: value for key, value in example["value"].items() if key != "model"},
    }
    for name, example in PREDICT.items()
}

ROWS: dict[str, Any] = {
    "rows": {
        "summary": "A few rows",
        "value": {
            "name": "customer messages",
            "rows": [
                {"text": "Where is my parcel?", "label": "delivery"},
                {"text": "I was charged twice.", "label": "billing"},
                {"text": "It has not arrived yet.", "label": "delivery"},
                {"text": "Please send me an invoice.", "label": "billing"},
            ],
        },
    },
    "named": {
        "summary": "Integer labels with names, splits given",
        "value": {
            "label_names": ["negative", "positive"],
            "rows": [
                {"text": "Lovely.", "label": 1, "split": "train"},
                {"text": "Awful.", "label": 0, "split": "train"},
                {"text": "Great value.", "label": 1, "split": "validation"},
                {"text": "It broke.", "label": 0, "split": "validation"},
            ],
        },
    },
}

ALIAS: dict[str, Any] = {
    "move": {"summary": "Serve version 3", "value": {"version": 3}},
    "force": {
        "summary": "Serve version 3 whatever the policy says",
        "value": {"version": 3, "force": True, "reason": "Version 2 leaks names; see ticket 4711."},
    },
}

KEY: dict[str, Any] = {
    "predict": {
        "summary": "For an application that only asks",
        "value": {"name": "shop-backend", "scopes": ["predict"]},
    },
    "train": {
        "summary": "For a nightly training, ninety days",
        "value": {"name": "nightly-training", "scopes": ["write"], "expires_in_days": 90},
    },
}

PRUNE: dict[str, Any] = {
    "ask": {"summary": "What would go if the newest five stayed?", "value": {"keep_last": 5, "dry_run": True}},
    "do": {"summary": "Keep the newest five", "value": {"keep_last": 5}},
}

TRAFFIC: dict[str, Any] = {
    "canary": {"summary": "Let version 4 answer a tenth", "value": {"canary": {"version": 4, "percent": 10}}},
    "shadow": {
        "summary": "Compare version 5 with what answers, on a fifth of the calls",
        "value": {"canary": {"version": 4, "percent": 10}, "shadow": {"version": 5, "percent": 20}},
    },
    "log": {
        "summary": "Keep a tenth of the answers for feedback, with their redacted texts, for 90 days",
        "value": {"log": {"percent": 10, "keep_text": True, "retention_days": 90}},
    },
    "drift": {
        "summary": "Count every answer by label, confidence and length",
        "value": {"drift": {"percent": 100}},
    },
    "more": {
        "summary": "More of them, and why",
        "value": {"canary": {"version": 4, "percent": 50}, "reason": "Nobody complained in a week."},
    },
}

FEEDBACK: dict[str, Any] = {
    "label": {"summary": "It was a complaint", "value": {"label": "complaint"}},
    "labels": {"summary": "Of a version that gives any number of labels", "value": {"labels": ["late", "broken"]}},
}

CHECK: dict[str, Any] = {"version": {"summary": "May version 3 serve?", "value": {"version": 3}}}

POLICY: dict[str, Any] = {
    "usual": {
        "summary": "Good enough, not worse than what serves now, better than counting words",
        "value": {
            "floors": [{"metric": "f1_macro", "at_least": 0.8}],
            "class_floors": [{"label": "complaint", "metric": "recall", "at_least": 0.7}],
            "slice_floors": [{"slice": "source=web", "at_least": 0.6}, {"slice": "length=*", "at_least": 0.6}],
            "not_worse_than_current": {"metric": "f1_macro", "max_drop": 0.01},
            "beats_baseline": {"baseline": "tfidf-logistic-regression"},
            "export_verified": True,
            "latency": {"ms_per_text": 30},
        },
    },
    "strict": {
        "summary": "Only what is certain not to be worse",
        "value": {"not_worse_than_current": {"metric": "accuracy", "max_drop": 0.02, "certain": True}},
    },
}

IMPORT: dict[str, Any] = {
    "hub": {
        "summary": "A dataset of the Hugging Face hub",
        "value": {
            "name": "English tweets",
            "from": {
                "source": "hub",
                "dataset": "cardiffnlp/tweet_sentiment_multilingual",
                "config": "english",
                "label_names": ["negative", "neutral", "positive"],
            },
        },
    },
    "part": {
        "summary": "A part of a very large one",
        "value": {
            "from": {
                "source": "hub",
                "dataset": "fancyzhx/amazon_polarity",
                "text_column": "content",
                "files_per_split": 1,
                "rows_per_split": 5000,
            }
        },
    },
    "twitter": {"summary": "The tweets recipe", "value": {"from": {"source": "twitter"}}},
    "trustpilot": {
        "summary": "The reviews recipe, without synthetic neutral texts",
        "value": {"from": {"source": "trustpilot", "rows": 3000, "synthetic_neutral": False}},
    },
    "processed": {
        "summary": "Splits that the operator has prepared",
        "value": {"name": "tickets", "from": {"source": "processed", "path": "tickets/2026-01"}},
    },
}

HUGGING_FACE: dict[str, Any] = {
    "one": {"summary": "One text", "value": {"inputs": "Where is my parcel?"}},
    "best": {
        "summary": "The best label of each text",
        "value": {"inputs": ["Where is my parcel?", "I was charged twice."], "parameters": {"top_k": 1}},
    },
}

TEI: dict[str, Any] = {
    "one": {"summary": "One text", "value": {"inputs": "Where is my parcel?", "truncate": True}},
    "several": {
        "summary": "Several texts",
        "value": {"inputs": [["Where is my parcel?"], ["I was charged twice."]], "raw_scores": False},
    },
}

INFER: dict[str, Any] = {
    "all": {
        "summary": "Two texts",
        "value": {
            "inputs": [
                {
                    "name": "text",
                    "datatype": "BYTES",
                    "shape": [2],
                    "data": ["Where is my parcel?", "I was charged twice."],
                }
            ]
        },
    },
    "label": {
        "summary": "Only the label",
        "value": {
            "id": "42",
            "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["Where is my parcel?"]}],
            "outputs": [{"name": "label"}],
        },
    },
}

BATCH: dict[str, Any] = {
    "dataset": {
        "summary": "The texts of a dataset",
        "value": {"model": "customer-messages@champion", "dataset_id": "ds_019302f4c8d27c31a3b1f0e4d5c6b7a8"},
    },
    "scores": {
        "summary": "The three most probable labels of each",
        "value": {"model": "customer-messages", "dataset_id": "ds_019302f4c8d27c31a3b1f0e4d5c6b7a8", "top_k": 3},
    },
}

EVALUATION: dict[str, Any] = {
    "test": {"summary": "The test rows", "value": {"dataset_id": "ds_019302f4c8d27c31a3b1f0e4d5c6b7a8"}},
    "all": {
        "summary": "Every row of a file of test rows",
        "value": {"dataset_id": "ds_019302f4c8d27c31a3b1f0e4d5c6b7a8", "split": "all"},
    },
}
