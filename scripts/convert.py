"""Turn a checkpoint of MXNet, Trax, fairseq or Sonnet into a Hugging Face folder: a BERT or RoBERTa trained elsewhere.

    python scripts/convert.py mxnet model_bert_SST_2.params bert-sst --heads 12 --vocabulary bert.vocab
    python scripts/convert.py trax output_dir bert-own --vocabulary vocab.txt
    python scripts/convert.py fairseq checkpoint_best.pt roberta-own --like roberta-base
    python scripts/convert.py sonnet checkpoints/ckpt-12 bert-own --like bert-base --names names.json

`--like` is a folder of yours: `hf download FacebookAI/roberta-base --local-dir roberta-base` brings one.
What each library's checkpoint must be, and what comes out of it: docs/leaving.md.
"""

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.base import bootstrap
from harness.base.errors import guarded


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", metavar="NAME", help="mxnet, trax, fairseq or sonnet")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="what the library has saved")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the Hugging Face folder to write, a new one")
    parser.add_argument(
        "--like",
        type=Path,
        metavar="FOLDER",
        help="a Hugging Face folder of the same architecture, such as the model that the training began with: its "
        "config.json says what arrays do not show, its tokenizer is copied",
    )
    parser.add_argument(
        "--heads", type=counted, metavar="N", help="heads of the attention, where nothing else tells them"
    )
    parser.add_argument(
        "--vocabulary",
        type=Path,
        metavar="FILE",
        help="BERT's word pieces, to make the tokenizer of: vocab.txt, or what gluonnlp's Vocab.to_json wrote",
    )
    parser.add_argument(
        "--names",
        type=Path,
        metavar="FILE",
        help='JSON: {"name in AutoModel": "name in the checkpoint", …}, where yours are not the library\'s usual ones',
    )
    arguments = parser.parse_args()
    from harness.use import convert

    paths = {name: path and path.expanduser().absolute() for name, path in vars(arguments).items() if name in PATHS}
    print(convert.convert(convert.Asked(library=arguments.library, heads=arguments.heads, **paths)))
    return 0


def counted(text: str) -> int:
    """Return a number of heads."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


PATHS = ("checkpoint", "folder", "like", "vocabulary", "names")

if __name__ == "__main__":
    bootstrap.enter()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as clean as Ctrl-C
    sys.exit(guarded(main))
