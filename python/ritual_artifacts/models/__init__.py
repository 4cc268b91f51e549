"""Machine-learning models: folders of files, with the requirements to run each of them.

::

    ModelManager.upload_model("iris", "local/me/iris", {"iris.onnx": MlModelInfo(memory_requirements=2**20)})
    model = ModelManager().download_model("local/me/iris:iris.onnx")
    session = onnxruntime.InferenceSession(model.get_file("local/me/iris:iris.onnx"))
"""

from ritual_artifacts.models.artifact import ModelArtifact
from ritual_artifacts.models.identity import DownloadedModel, MlModelId
from ritual_artifacts.models.information import MlModelInfo, MLType
from ritual_artifacts.models.manager import ModelManager

__all__ = [
    "DownloadedModel",
    "MLType",
    "MlModelId",
    "MlModelInfo",
    "ModelArtifact",
    "ModelManager",
]
