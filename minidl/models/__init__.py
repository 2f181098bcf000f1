"""Published networks, made of minidl's layers."""

from minidl.models.bert import BertSizes, bert, sentence_embeddings
from minidl.models.bert_files import Pretrained, PretrainedError, load_bert, pretrained

__all__ = [
    "BertSizes",
    "Pretrained",
    "PretrainedError",
    "bert",
    "load_bert",
    "pretrained",
    "sentence_embeddings",
]
