"""Networks by name, and their weights in files of other frameworks."""

from minidl.models.resnet import resnet18, resnet34, resnet50
from minidl.models.torchvision import load_torchvision, save_torchvision

__all__ = ["load_torchvision", "resnet18", "resnet34", "resnet50", "save_torchvision"]
