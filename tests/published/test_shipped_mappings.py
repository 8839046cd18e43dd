"""Each mapping that ships reads a table with the columns that its authors write."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.published.column_mapping import read_mapping
from prunebench.published.convert import convert, convert_dense
from prunebench.published.shipped_mappings import shipped_names

# headers as released, few columns, numbers made up
TABLES = {
    "shrinkbench": "dataset,model,strategy,compression,post_acc1,seed,path\n"
    "CIFAR10,resnet20,,1,0.91,42,x\nCIFAR10,resnet20,GlobalMag,1,0.91,42,x\n"
    "CIFAR10,resnet20,GlobalMag,4,0.88,42,y\nCIFAR10,resnet20,Random,1,0.91,42,z\n",
    "shrinkbench-survey": "Name,Paper,Dataset,Model,Method,Top1,savedParams,OrigTop1\n"
    "1,p,CIFAR-10,ResNet-56,,93.58%,53.70%,93.04%\n2,p,CIFAR-10,ResNet-56,CCP,,50.00%,\n"
    "3,q,CIFAR-10,ResNet-56,CCP,92.00%,75.00%,\n4,r,???,WRN 4,,,,\n",
    "renda-2020": "network,retrain_method,prune_method,is_iterative,retrain_time,density,trial,"
    "test_acc,flops\nresnet20,lottery,Unstructured,True,182.0,0.5,trial_1,0.9,1\n"
    "resnet20,finetune,Structured-A,False,40.0,0.5,trial_2,0.89,1\ngnmt,lottery,Unstructured,"
    "True,1,0.5,trial_1,24.1,1\n",
    "synaptic-flow": "pruner,compression,run,top1_accuracy,dataset,model\n"
    "sf,2,run1,70.5,cifar100,vgg16-bn\nmag,1.0,run2,69,cifar100,vgg16-bn\n",
    "state-of-sparsity": "Tensor2Tensor HParams,Moses BLEU,Sparsity,begin_pruning_step,"
    "end_pruning_step,pruning_frequency,regularization,threshold_decay\n"
    "sparse_transformer_magnitude_pruning,26.21,0.5,100000,500000,1000,dropout+label_smoothing,0\n"
    "sparse_transformer_random_pruning,18.58,0.8000010252,0,500000,1000,none,0\n",
    "owl": "# OWL\n\n| **Method** | **Layerwise Sparsity** | **Weight Update** | **LLaMA-V1 7B** |"
    " **LLaMA-V1 13B** | **LLaMA-V1 30B** | **LLaMA-V1 65B** | **OPT 6.7B** |\n"
    "|------|------|------|------|------|-----|-----|-----|\n"
    "| Dense      | -   | -    | 5.00  | 4.00  | 4.00   | 2.00 | 10.00 |\n"
    "| OWL w. Wanda | Non-Uniform    | ❌   | **25.00** | **20.0** | **10** | **8** | **40** |\n\n"
    "<p>WikiText perplexity</p>\n",
    "obert": "### Table 0\n\n| n | 70% |\n| - | --- |\n| 1 | 83 |\n\n### Table 1\n\n"
    "| Task | BERT<br>base | Sparsity | oBERT<br>10 epochs | oBERT<br>30 epochs |\n"
    "| :---: | :-------: | :----: | :------: | :------: |\n"
    "| SQuAD<br>F1 | 88.5<br>[model](https://x/y) | 80%<br>90%<br>97% | -<br>87.5<br>84.0 |"
    " 89.0 [model](https://x/a), [recipe](https://x/b)<br>88.0 [model](https://x/c)<br>86.0 |\n"
    "| MNLI<br>m-acc | 84.5 | 80%<br>90%<br>97% | -<br>83<br>81 | 84<br>83<br>82 |\n",
    "open-lth": "replicate,level,density,test_accuracy,dataset_name,model_name,pruning_strategy\n"
    "replicate_1,0,1.0,0.91,cifar10,cifar_resnet_20,sparse_global\n"
    "replicate_1,1,0.8,0.9,cifar10,cifar_resnet_20,sparse_global\n",
}  # fmt: skip
EXPECTED = {
    "shrinkbench": [("CIFAR10", "dense", 42, 0.0, 0.09), ("CIFAR10", "GlobalMag", 42, 0.75, 0.12)],
    "shrinkbench-survey": [
        ("CIFAR-10", "p", 0, 0.537, 0.0642), ("CIFAR-10", "q-CCP", 0, 0.75, 0.08),
    ],
    "renda-2020": [
        ("cifar10", "weight-rewinding-Unstructured-iterative-182.0", 1, 0.5, 0.1),
        ("cifar10", "fine-tuning-Structured-A-one-shot-40.0", 2, 0.5, 0.11),
    ],
    "synaptic-flow": [
        ("cifar100", "synflow", 1, 0.99, 0.295), ("cifar100", "magnitude", 2, 0.9, 0.31),
    ],
    # BLEU and F1 of 100 are no error, higher is better; of perplexities 1 is none, lower is better
    "state-of-sparsity": [
        ("wmt14-en-de", "magnitude-100000-500000-1000-dropout+label_smoothing-0", 0, 0.5, 0.7379),
        ("wmt14-en-de", "random-0-500000-1000-none-0", 0, 0.8, 0.8142),
    ],
    "owl": [
        *(("wikitext", "dense", 0, 0.0, error) for error in (0.8, 0.75, 0.75, 0.5, 0.9)),
        *(("wikitext", "OWL w. Wanda", 0, 0.7, error) for error in (0.96, 0.95, 0.9, 0.875, 0.975)),
    ],
    "obert": [
        ("squad", "dense", 0, 0.0, 0.115), ("squad", "obert-30-epochs", 0, 0.8, 0.11),
        ("squad", "obert-10-epochs", 0, 0.9, 0.125), ("squad", "obert-30-epochs", 0, 0.9, 0.12),
        ("squad", "obert-10-epochs", 0, 0.97, 0.16), ("squad", "obert-30-epochs", 0, 0.97, 0.14),
    ],
    "open-lth": [("cifar10", "dense", 1, 0.0, 0.09), ("cifar10", "lottery-ticket", 1, 0.2, 0.1)],
}  # fmt: skip


@pytest.mark.parametrize("name", shipped_names())
def test_it_reads_their_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / ("README.md" if name in ("owl", "obert") else "theirs.csv")
    path.write_text(TABLES[name])
    cells, _ = convert(path, read_mapping(Path(name)))
    columns = ["task", "method", "seed", "sparsity", "test_error"]
    assert list(cells[columns].itertuples(index=False, name=None)) == EXPECTED[name]


def test_dense_results_of_a_second_file_are_of_no_known_seed(tmp_path: Path) -> None:
    pruned, dense = tmp_path / "pruned.csv", tmp_path / "bases.csv"
    pruned.write_text(TABLES["renda-2020"])
    dense.write_text("network,test_acc\nresnet20,0.92\nresnet20,0.91\nresnet56,0.93\ngnmt,24\n")
    mapping = read_mapping(Path("renda-2020"))
    cells, _ = convert(pruned, mapping)
    found, notes = convert_dense(dense, mapping, cells)
    rows = list(found[["method", "seed", "sparsity", "test_error"]].itertuples(False, None))
    assert rows == [("dense", 3, 0.0, 0.08), ("dense", 4, 0.0, 0.09)]
    assert notes == ["1 dense results of other networks: not taken"]
    dense.write_text("network,test_acc\nresnet56,0.93\n")
    with pytest.raises(PrunebenchError, match="no dense result of a network in the table"):
        convert_dense(dense, mapping, cells)


@pytest.mark.parametrize(
    ("texts", "seeds"),
    [
        (["trial_1", "trial_2"], [1, 2]), (["seed3", "seed12"], [3, 12]), (["1", "2"], [1, 2]),
        (["run 01", "run 2"], [1, 2]), (["trial_1", "run_2"], "named in two ways"),
        (["trial_1", "7"], "named in two ways"), (["trial_1", "trial_01"], "have one number"),
        (["first", "second"], "line 2, seed: 'first' is no number"),
    ],
)  # fmt: skip
def test_names_of_seeds(tmp_path: Path, texts: list[str], seeds: list[int] | str) -> None:
    path = tmp_path / "theirs.csv"
    rows = "".join(f"t,r,m,a,0.5,0.1,{text}\n" for text in texts)
    path.write_text("task,regime,model,method,sparsity,test_error,seed\n" + rows)
    if isinstance(seeds, str):
        with pytest.raises(PrunebenchError, match=seeds):
            convert(path, read_mapping(None))
    else:
        assert convert(path, read_mapping(None))[0]["seed"].tolist() == seeds


def test_flags_go_before_the_mapping_and_conditions_join(tmp_path: Path) -> None:
    said = read_mapping(
        Path("renda-2020"), constants=["task=imagenet", "model=r"],
        columns=["method=a", "method=b"], where="trial == 'trial_1'",
    )  # fmt: skip
    assert said.constants["task"] == "imagenet"
    assert "model" not in said.columns
    assert said.columns["method"] == ["a", "b"]
    assert said.where == "(network != 'gnmt') and (trial == 'trial_1')"
    with pytest.raises(PrunebenchError, match="seed is given twice"):
        read_mapping(None, columns=["seed=a", "seed=b"])
    with pytest.raises(PrunebenchError, match=r"no mapping of that name ships.*did you mean"):
        read_mapping(Path("renda-2002"))


def test_rows_without_a_seed_can_be_numbered(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    pd.DataFrame(
        [("t", "r", "m", "a", 0.5, e) for e in (0.1, 0.2)] + [("t", "r", "m", "a", 0.9, 0.3)],
        columns=["task", "regime", "model", "method", "sparsity", "test_error"],
    ).to_csv(path, index=False)
    with pytest.raises(PrunebenchError, match=r"same cell.*--number-seeds"):
        convert(path, read_mapping(None))
    cells, _ = convert(path, read_mapping(None, number_seeds=True))
    assert cells["seed"].tolist() == [0, 1, 0]


def test_dense_transformers_have_a_table_of_their_own(tmp_path: Path) -> None:
    pruned, dense = tmp_path / "pruned.csv", tmp_path / "bases.csv"
    pruned.write_text(TABLES["state-of-sparsity"])
    # other capitals than in the other table, as released
    dense.write_text(
        "Tensor2Tensor HParams,MOSES BLEU,Training Steps,Batch Size,Dataset\n"
        "transformer_base,27.13,500000,2048,translate_ende_wmt32k_packed\n"
        "transformer_base,27.39,500000,2048,translate_ende_wmt32k_packed\n"
    )
    mapping = read_mapping(Path("state-of-sparsity"))
    cells, _ = convert(pruned, mapping)
    found, _ = convert_dense(dense, mapping, cells)
    rows = list(found[["method", "seed", "sparsity", "test_error"]].itertuples(False, None))
    assert rows == [("dense", 1, 0.0, 0.7287), ("dense", 2, 0.0, 0.7261)]


def test_a_perplexity_is_told_as_a_loss_too(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(TABLES["owl"])
    cells, _ = convert(path, read_mapping(Path("owl"), where="Model == 'LLaMA-V1 7B'"))
    assert cells["test_nll"].tolist() == pytest.approx([math.log(5), math.log(25)])
    assert cells["model"].tolist() == ["llama-7b"] * 2


@pytest.mark.parametrize(
    ("column", "unit", "message"),
    [
        ("BLEU", "accuracy-percent", "speaks of bleu.*say --unit, such as bleu"),
        ("Perplexity", "error-percent", "speaks of perplexity.*such as perplexity"),
        ("F1", "accuracy-percent", "speaks of f1.*such as f1-percent"),
    ],
)
def test_other_scores_are_no_accuracies(
    tmp_path: Path, column: str, unit: str, message: str
) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(f"task,regime,model,method,sparsity,{column}\nt,r,m,a,0.5,20\n")
    with pytest.raises(PrunebenchError, match=message):
        convert(path, read_mapping(None, columns=[f"test_error={column}"], units=[unit]))


def test_markdown_and_wide_tables_are_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("| a | b |\n|---|---|\n| 1 | 2 |\n")
    with pytest.raises(PrunebenchError, match=r"no table with the columns .*; it has a \| b"):
        convert(path, read_mapping(Path("owl")))
    path.write_text("words alone\n")
    with pytest.raises(PrunebenchError, match="it has no table"):
        convert(path, read_mapping(Path("owl")))
    path.write_text(TABLES["obert"].replace("-<br>87.5<br>84.0", "87.5<br>84.0"))
    with pytest.raises(PrunebenchError, match=r"line 11: cells have other numbers of lines"):
        convert(path, read_mapping(Path("obert")))
    path.write_text(TABLES["owl"].replace("| 2.00 | 10.00 |", "| 2.00 |"))
    with pytest.raises(PrunebenchError, match="has 7 fields, the header has 8"):
        convert(path, read_mapping(Path("owl")))
