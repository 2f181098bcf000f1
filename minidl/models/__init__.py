"""Networks by name, and their weights in files of other frameworks."""

from minidl.models.bert import BertSizes, bert, sentence_embeddings
from minidl.models.bert_files import Pretrained, PretrainedError, load_bert, pretrained
from minidl.models.resnet import resnet18, resnet34, resnet50
from minidl.models.torchvision import load_torchvision, save_torchvision

__all__ = [
    "BertSizes",
    "Pretrained",
    "PretrainedError",
    "bert",
    "load_bert",
    "load_torchvision",
    "pretrained",
    "resnet18",
    "resnet34",
    "resnet50",
    "save_torchvision",
    "sentence_embeddings",
]
