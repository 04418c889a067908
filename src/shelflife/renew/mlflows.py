"""The MLflow registry: the user's (``MLFLOW_REGISTRY_URI``, ``MLFLOW_TRACKING_URI``), else a file in the workspace."""

from __future__ import annotations

import logging
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from shelflife.errors import BadInput, first_line
from shelflife.workspace import Settings

KEY, DIGEST = "shelflife.key", "shelflife.digest"
_EXPERIMENT = "shelflife"
# MLflow's own is minutes for each call to a server that is away, in which the loop would do nothing else.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}


class Registry:
    """The registry of a workspace.

    Parameters
    ----------
    settings
        Where the workspace is.

    Raises
    ------
    BadInput
        Where nothing answers at the address.
    """

    def __init__(self, settings: Settings) -> None:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # of the tables that it makes
        given = os.environ.get("MLFLOW_TRACKING_URI")
        here = URL.create("sqlite", database=str((settings.home / "mlflow.db").absolute())).render_as_string()
        self.uri = os.environ.get("MLFLOW_REGISTRY_URI") or given or here
        # A registry that is a file takes paths of this machine; a server takes what it can reach itself.
        self.is_here = "://" not in self.uri or self.uri.startswith(("sqlite:", "file:"))
        self.tracking = given or self.uri
        try:
            self.client = MlflowClient(tracking_uri=self.tracking, registry_uri=self.uri)
        except Exception as error:
            raise _away(self.uri, error) from error

    def create(self, model: str, artifact: Path, *, key: str, digest: str, says: str) -> tuple[str, str]:
        """A version of a registered model, made once a key; its number and where its artifact lies."""
        from mlflow.exceptions import MlflowException

        try:
            for one in self._of_key(model, key):  # asked first: a server that is away is waited for once
                if one.tags.get(DIGEST) == digest:
                    return str(one.version), str(one.source)
                self.client.delete_model_version(model, one.version)  # of a run that ended before it was ours
            with suppress(MlflowException):  # it is there
                self.client.create_registered_model(model)
            run, source = (None, str(artifact)) if self.is_here else self._uploaded(artifact, key, digest)
            tags = {KEY: key, DIGEST: digest}
            made = self.client.create_model_version(model, source, run_id=run, tags=tags, description=says)
        except MlflowException as error:
            raise _away(self.uri, error) from error
        return str(made.version), source

    def alias(self, model: str, alias: str) -> str | None:
        """The number that an alias stands for, None where there is no such alias or model."""
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_registered_model(model).aliases.get(alias)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise _away(self.uri, error) from error
        return None if found is None else str(found)

    def point(self, model: str, alias: str, number: str | None) -> None:
        """Let an alias stand for a version, or for none."""
        from mlflow.exceptions import MlflowException

        try:
            if number is not None:
                self.client.set_registered_model_alias(model, alias, number)
            elif self.alias(model, alias) is not None:
                self.client.delete_registered_model_alias(model, alias)
        except MlflowException as error:
            raise _away(self.uri, error) from error

    def fetched(self, source: str, into: Path) -> Path:
        """A copy of the artifact that ``models:/…``, ``runs:/…``, an address or a folder names."""
        if source.strip() and Path(source).is_dir():
            if not (Path(source) / "MLmodel").is_file():  # looked at first: a folder can hold anything
                raise BadInput(f"The folder {source!r} is no MLflow model: it holds no file `MLmodel`.")
            return Path(shutil.copytree(source, into / "model"))
        if ":/" not in source or source.lower().startswith(("http:", "https:")):
            raise BadInput(
                "A model is asked for as models:/NAME/3, models:/NAME@ALIAS, runs:/ID/model, the address of a store"
                f" (s3://…) or a folder; found {source!r}."
            )
        from mlflow.artifacts import download_artifacts

        try:
            where = self._address(source) if source.startswith("models:/") else source
            if Path(where).is_dir():
                return Path(shutil.copytree(where, into / "model"))
            # By argument: what MLflow is told for the whole process it also writes into the environment.
            return Path(download_artifacts(artifact_uri=where, dst_path=str(into), tracking_uri=self.tracking))
        except Exception as error:
            raise BadInput(
                f"The model {source} cannot be fetched from {_hidden(self.uri)}: {first_line(error)}"
            ) from error

    def _address(self, source: str) -> str:
        """Where the artifact of a registered version lies."""
        name, at, alias = source.removeprefix("models:/").partition("@")
        if at:
            number = self.client.get_model_version_by_alias(name, alias).version
        else:
            name, _, number = name.rpartition("/")
        return str(self.client.get_model_version_download_uri(name, number)).removeprefix("file://")

    def _of_key(self, model: str, key: str) -> list[Any]:
        said = model.replace("'", "''")
        return [one for one in self.client.search_model_versions(f"name='{said}'") if one.tags.get(KEY) == key]

    def _uploaded(self, artifact: Path, key: str, digest: str) -> tuple[str, str]:
        """A run that holds the artifact where the server keeps artifacts; one that was ended before is found again."""
        experiment = self.client.get_experiment_by_name(_EXPERIMENT)
        number = experiment.experiment_id if experiment else self.client.create_experiment(_EXPERIMENT)
        same = f"attributes.status = 'FINISHED' and tags.`{DIGEST}` = '{digest}'"
        for run in self.client.search_runs([number], same):
            if run.data.tags.get(KEY) == key:
                return run.info.run_id, f"{run.info.artifact_uri}/model"
        run = self.client.create_run(number, tags={KEY: key, DIGEST: digest})
        self.client.log_artifacts(run.info.run_id, str(artifact), "model")
        self.client.set_terminated(run.info.run_id)
        return run.info.run_id, f"{run.info.artifact_uri}/model"


def _away(uri: str, error: Exception) -> BadInput:
    return BadInput(f"The MLflow registry {_hidden(uri)} does not do what was asked: {first_line(error)}")


def _hidden(uri: str) -> str:
    """An address without the password that may be in it."""
    return re.sub(r"//[^/@]*@", "//***@", uri)
