"""Names of runs."""

from jsonargparse import Namespace

from qstar_pl.cli.runs.loggers import resolve_loggers


def test_loggers_get_the_name_of_the_run_unless_they_have_one() -> None:
    default = resolve_loggers(True, "elsewhere", "dpo")
    assert (default.init_args.save_dir, default.init_args.name) == ("elsewhere", "dpo")
    names = (None, "lightning_logs", "mine")
    several = [Namespace(class_path="any.CSVLogger", init_args=Namespace(name=name)) for name in names]
    assert [logger.init_args.name for logger in resolve_loggers(several, "runs", "dpo")] == ["dpo", "dpo", "mine"]
    assert resolve_loggers(False, "runs", "dpo") is False


def test_a_logger_without_folders_of_its_own_gets_company() -> None:
    alone = Namespace(class_path="lightning.pytorch.loggers.WandbLogger", init_args=Namespace(name=None))
    files, same = resolve_loggers(alone, "runs", "dpo")
    assert files.class_path.endswith("CSVLogger")
    assert (files.init_args.save_dir, files.init_args.name, same.init_args.name) == ("runs", "dpo", "dpo")
    both = [files, alone]
    assert resolve_loggers(both, "runs", "dpo") == both
