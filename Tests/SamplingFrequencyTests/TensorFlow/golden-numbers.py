"""Gets expected counts from TensorFlow's candidate samplers and prints them as golden numbers.

    python3 -m venv /tmp/tensorflow && /tmp/tensorflow/bin/pip install tensorflow-cpu
    /tmp/tensorflow/bin/python golden-numbers.py > golden-numbers.json

The output is one JSON object: TensorFlow's version, and a list of draws. Each draw has the sampler's parameters and the
expected counts that it reported, for the true classes and for the sampled ones, as the float32 that it returned.

TensorFlow does not report the number of tries of a unique draw. But every reported number is a function of q and the
tries: -expm1(tries * log1p(-q)). So the script solves for the tries with the most informative number. It fails if the
result does not reproduce all other numbers of the draw to 6 digits. For a unique draw without a repetition, TensorFlow
reports draws * q. Such a draw has "kind": "unique-without-repetition".
"""

import json
import math
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf


def q_of(case):
    if case["sampler"] == "uniform":
        return [1 / case["range"]] * case["range"]
    weights = [count ** case["distortion"] for count in case["counts"]]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def draw(case):
    common = dict(
        true_classes=tf.constant([case["true_classes"]], dtype=tf.int64),
        num_true=len(case["true_classes"]),
        num_sampled=case["draws"],
        unique=case["unique"],
        seed=case["seed"],
    )
    tf.random.set_seed(case["seed"])
    if case["sampler"] == "uniform":
        sampled, of_true, of_sampled = tf.random.uniform_candidate_sampler(range_max=case["range"], **common)
    else:
        sampled, of_true, of_sampled = tf.random.fixed_unigram_candidate_sampler(
            range_max=len(case["counts"]), unigrams=case["counts"], distortion=case["distortion"], **common
        )
    return (
        [int(i) for i in sampled.numpy()],
        [float(x) for x in of_true.numpy()[0]],
        [float(x) for x in of_sampled.numpy()],
    )


def agree(ours, theirs):
    return abs(ours - theirs) <= 1e-6 * abs(theirs)


def tries_of(case, q, classes, reported):
    """Return the only number of tries that explains every reported number."""
    pairs = [(q[c], x) for c, x in zip(classes, reported)]
    # A number that is neither near 0 nor near 1 is the most informative about the tries.
    telling = min(pairs, key=lambda pair: abs(pair[1] - 0.6))
    tries = round(math.log1p(-telling[1]) / math.log1p(-telling[0]))
    fitting = [
        t
        for t in range(max(1, tries - 3), tries + 4)
        if all(agree(-math.expm1(t * math.log1p(-p)), x) for p, x in pairs)
    ]
    assert len(fitting) == 1, (case, tries, fitting)
    return fitting[0]


def measured(case):
    q = q_of(case)
    sampled, of_true, of_sampled = draw(case)
    classes, reported = case["true_classes"] + sampled, of_true + of_sampled
    if all(agree(case["draws"] * q[c], x) for c, x in zip(classes, reported)):
        kind = "unique-without-repetition" if case["unique"] else "with-replacement"
        tries = case["draws"]
    else:
        kind = "unique"
        tries = tries_of(case, q, classes, reported)
        assert case["unique"] and tries > case["draws"] and len(set(sampled)) == len(sampled)
    return dict(case, kind=kind, tries=tries, sampled=sampled, expected_true=of_true, expected_sampled=of_sampled)


def cases():
    zipf = [1000.0 / (i + 1) for i in range(40)]
    popular = [9000.0, 300.0, 300.0, 20.0, 5.0, 1.0, 1.0, 1.0, 0.5, 0.25]
    for unique in (False, True):
        yield dict(sampler="uniform", range=1_000_000, draws=64, unique=unique, seed=2, true_classes=[0, 999_999])
        yield dict(sampler="uniform", range=1000, draws=128, unique=unique, seed=1, true_classes=[0, 999])
        yield dict(sampler="uniform", range=20, draws=12, unique=unique, seed=3, true_classes=[7])
        for seed, distortion in enumerate([1.0, 0.75, 0.5, 0.25, 0.0], start=10):
            yield dict(
                sampler="fixed_unigram", counts=zipf, distortion=distortion, draws=16, unique=unique, seed=seed,
                true_classes=[0, 1, 39],
            )
            yield dict(
                sampler="fixed_unigram", counts=popular, distortion=distortion, draws=4, unique=unique, seed=seed + 10,
                true_classes=[0, 4, 9],
            )


lines = ",\n".join(json.dumps(measured(case)) for case in cases())
print(f'{{"tensorflow": "{tf.__version__}", "draws": [\n{lines}\n]}}')
