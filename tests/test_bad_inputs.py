"""Bad inputs: what a model, a fit and a prediction refuse, with the kind of the error, the column, the words and a way out."""

from __future__ import annotations

import datetime as dt
from functools import cache

import numpy as np
import pandas as pd
import pytest

import bayesglm as bg
from bayesglm import errors as e
from bayesglm.families.family import Family
from bayesglm.formula import FormulaError, Variable
from bayesglm.priors import HalfNormal, Normal
from bayesglm.registry import discover
from tests.posteriors import by_hand

ROWS = 12


def table(**columns):
    """Return a sound table of twelve hours, with columns replaced, added, or dropped where None is given."""
    number = np.arange(ROWS)
    sound = {
        "errors": np.array([0, 2, 5, 1, 0, 3, 8, 2, 1, 4, 6, 3]),
        "requests": 100.0 + 10 * number,
        "load": np.sin(1.0 + number),
        "size": np.cos(2.0 * number),
        "region": ["east", "north", "west"] * 4,
        "service": ["a", "b", "c", "d"] * 3,
        "deploy": number % 2 == 1,
        "tries": np.full(ROWS, 10),
        "copies": 1 + number % 3,
        "stamp": pd.date_range("2024-01-01", periods=ROWS, freq="h"),
        "key": [f"r{i}" for i in number],
    }
    return pd.DataFrame({name: values for name, values in (sound | columns).items() if values is not None})


def model(formula="errors ~ load", family="poisson", data=None, **options):
    return bg.Model(formula, table() if data is None else data, family, **options)


def replaced(name, **at):
    """Return a sound table with some cells of a column replaced, by row number: ``replaced("load", r3=np.nan)``."""
    column = table()[name].astype(object)
    for row, value in at.items():
        column[int(row[1:])] = value
    return table(**{name: column.to_list()})


def array_of(name, **at):
    column = np.array(table()[name], dtype=np.float64)
    for row, value in at.items():
        column[int(row[1:])] = value
    return table(**{name: column})


NUMBERS = {"family": "gaussian"}
SHIFTED = table().assign(**{"double load": lambda d: 2 * d.load + 1, "total": lambda d: d.load + d["size"]})

# What is said, the kind of the error, the column it names, words of its message.
MODELS = {
    # the table
    "no table": (lambda: model(data=3), e.NotATableError, None, ["int", "pandas.DataFrame"]),
    "an empty table": (lambda: model(data=table()[:0]), e.EmptyTableError, None, ["no rows"]),
    "a missing column": (lambda: model("errors ~ laod"), e.MissingColumnError, "laod", ["Did you mean 'load'"]),
    "a missing response": (lambda: model("erors ~ load"), e.MissingColumnError, "erors", ["'errors'"]),
    "a missing exposure": (lambda: model(exposure="request"), e.MissingColumnError, "request", ["'requests'"]),
    "missing weights": (lambda: model(weights="copy"), e.MissingColumnError, "copy", ["copies"]),
    "a missing group": (lambda: model("errors ~ (1 | servce)"), e.MissingColumnError, "servce", ["'service'"]),
    "missing context": (lambda: model(context=["regoin"]), e.MissingColumnError, "regoin", ["'region'"]),
    "a missing column of the zero part": (
        lambda: model(family="zero_inflated_poisson", zero="~ lod"),
        e.MissingColumnError,
        "lod",
        ["'load'"],
    ),
    "duplicate columns": (
        lambda: model(data=pd.concat([table(), table()[["load"]]], axis=1)),
        e.DuplicateColumnError,
        "load",
        ["unique"],
    ),
    "a number as a column's name": (
        lambda: model(data=table().rename(columns={"key": 7})),
        e.ColumnNameError,
        None,
        ["7", "strings"],
    ),
    "columns of several lengths": (
        lambda: model(data={"errors": [1, 2], "load": [1.0, 2.0, 3.0]}),
        e.NotATableError,
        "errors",
        ["same length"],
    ),
    "a dict of numbers": (lambda: model(data={"errors": 1, "load": 2}), e.NotATableError, "load", ["sequence"]),
    # the response
    "NaN in the response": (
        lambda: model(data=array_of("errors", r4=np.nan)),
        e.MissingValueError,
        "errors",
        ["1 missing value", "row 4"],
    ),
    "an infinite response": (
        lambda: model(data=array_of("errors", r2=np.inf)),
        e.InfiniteValueError,
        "errors",
        ["row 2", "finite"],
    ),
    "a negative count": (
        lambda: model(data=array_of("errors", r3=-2)),
        e.ResponseError,
        "errors",
        ["1 negative value", "row 3", "-2", "counts >= 0"],
    ),
    "a fraction as a count": (
        lambda: model(data=array_of("errors", r5=2.5)),
        e.ResponseError,
        "errors",
        ["2.5", "row 5", "exposure="],
    ),
    "a proportion as a count": (
        lambda: model(data=table(errors=np.linspace(0.1, 0.9, ROWS))),
        e.ResponseError,
        "errors",
        ["proportions", "trials(n)", "binomial"],
    ),
    "fractions as a negative binomial": (
        lambda: model(family="negative_binomial", data=array_of("errors", r0=0.5)),
        e.ResponseError,
        "errors",
        ["0.5"],
    ),
    "text as a response": (lambda: model("region ~ load"), e.ResponseError, "region", ["text", "east", "categorical"]),
    "times as a response": (lambda: model("stamp ~ load", **NUMBERS), e.ResponseError, "stamp", ["times", "duration"]),
    "booleans as counts": (lambda: model("deploy ~ load"), e.ResponseError, "deploy", ["booleans", "bernoulli"]),
    "two words as a bernoulli": (
        lambda: model("region ~ load", "bernoulli", table(region=["ok", "bad"] * 6)),
        e.ResponseError,
        "region",
        ["'bad'", "data['region'] =="],
    ),
    "counts as a bernoulli": (lambda: model(family="bernoulli"), e.ResponseError, "errors", ["row 1", "2"]),
    "zero as a gamma": (lambda: model(family="gamma"), e.ResponseError, "errors", ["0", "row 0"]),
    "a zero in a truncated count": (lambda: model(family="truncated_poisson"), e.ResponseError, "errors", ["lower limit"]),
    "one category": (
        lambda: model("region ~ load", "categorical", table(region=["east"] * ROWS)),
        e.ResponseError,
        "region",
        ["one level only", "east"],
    ),
    "fractions as categories": (lambda: model("load ~ size", "categorical"), e.ResponseError, "load", ["gaussian"]),
    "the response as a predictor": (lambda: model("errors ~ load + errors"), FormulaError, "errors", ["explain itself"]),
    "the response in the zero part": (
        lambda: model(family="zero_inflated_poisson", zero="~ errors"),
        e.OptionError,
        "errors",
        ["explain itself"],
    ),
    "the response as a group": (lambda: model("errors ~ (1 | errors)"), FormulaError, "errors", ["explain itself"]),
    "the response as exposure": (lambda: model(exposure="errors"), e.OptionError, "errors", ["second part"]),
    "the response as weights": (lambda: model(weights="errors"), e.OptionError, "errors", ["second part"]),
    "integers too large": (lambda: model(data=table(errors=[2**60] * ROWS)), e.ExactnessError, "errors", ["2**53"]),
    # trials
    "no trials": (lambda: model(family="binomial"), e.TrialsError, "errors", ["trials(n)"]),
    "successes over trials": (
        lambda: model("errors | trials(tries) ~ load", "binomial", array_of("tries", r6=5)),
        e.TrialsError,
        "errors",
        ["row 6", "8", "swapped"],
    ),
    "fractions as trials": (
        lambda: model("errors | trials(tries) ~ load", "binomial", array_of("tries", r1=9.5)),
        e.TrialsError,
        "tries",
        ["9.5"],
    ),
    "negative trials": (
        lambda: model("errors | trials(tries) ~ load", "binomial", array_of("tries", r1=-9)),
        e.TrialsError,
        "tries",
        ["-9"],
    ),
    "no trial at all": (
        lambda: model("errors | trials(tries) ~ load", "binomial", table(errors=[0] * ROWS, tries=[0] * ROWS)),
        e.TrialsError,
        "tries",
        ["is 0"],
    ),
    "trials for a poisson": (lambda: model("errors | trials(tries) ~ load"), e.TrialsError, "tries", ["no trials", "binomial"]),
    "text as trials": (lambda: model("errors | trials(region) ~ load", "binomial"), e.ColumnTypeError, "region", ["numbers"]),
    "missing trials": (
        lambda: model("errors | trials(tries) ~ load", "binomial", array_of("tries", r7=np.nan)),
        e.MissingValueError,
        "tries",
        ["row 7"],
    ),
    # exposure
    "exposure for a bernoulli": (
        lambda: model("deploy ~ load", "bernoulli", exposure="requests"),
        e.ExposureError,
        "requests",
        ["trials(n)", "binomial"],
    ),
    "exposure for a binomial": (
        lambda: model("errors | trials(tries) ~ load", "binomial", exposure="requests"),
        e.ExposureError,
        "requests",
        ["trials(requests)"],
    ),
    "negative exposure": (
        lambda: model(exposure="requests", data=array_of("requests", r8=-1)),
        e.NegativeExposureError,
        "requests",
        ["row 8", "-1"],
    ),
    "errors without exposure": (
        lambda: model(exposure="requests", data=array_of("requests", r2=0)),
        e.ZeroExposureError,
        "requests",
        ["row 2", "exposure 0"],
    ),
    "no exposure at all": (
        lambda: model(exposure="requests", data=table(errors=[0] * ROWS, requests=[0] * ROWS)),
        e.ZeroExposureError,
        "requests",
        ["every exposure"],
    ),
    "missing exposure": (
        lambda: model(exposure="requests", data=array_of("requests", r1=np.nan)),
        e.MissingValueError,
        "requests",
        ["row 1"],
    ),
    "infinite exposure": (
        lambda: model(exposure="requests", data=array_of("requests", r1=np.inf)),
        e.InfiniteValueError,
        "requests",
        ["row 1"],
    ),
    "text as exposure": (lambda: model(exposure="region"), e.ColumnTypeError, "region", ["numbers"]),
    "a unit without exposure": (lambda: model(exposure_unit="hours"), e.OptionError, None, ["hours", "exposure="]),
    # weights, id, missing cells
    "fractions as weights": (lambda: model(weights="load"), e.WeightsError, "load", ["negative"]),
    "half a row": (
        lambda: model(weights="copies", data=array_of("copies", r3=1.5)),
        e.WeightsError,
        "copies",
        ["1.5", "identical rows"],
    ),
    "weights all zero": (
        lambda: model(weights="copies", data=table(copies=[0] * ROWS)),
        e.WeightsError,
        "copies",
        ["every weight"],
    ),
    "a repeated id": (lambda: model(id="region"), e.DuplicateIdError, "region", ["row 3"]),
    "imputed exposure": (
        lambda: model("errors ~ load", exposure="requests", missing={"requests": "impute"}),
        e.OptionError,
        "requests",
        ["never imputed"],
    ),
    "missing= of no column": (lambda: model(missing={"laod": "impute"}), e.UnknownNameError, None, ["'load'"]),
    "missing= of another type": (lambda: model(missing={"load": "many"}), e.OptionError, "load", ["'impute'"]),
    # predictors
    "NaN in a predictor": (lambda: model(data=array_of("load", r9=np.nan)), e.MissingValueError, "load", ["row 9", "impute"]),
    "infinity in a predictor": (lambda: model(data=array_of("load", r9=-np.inf)), e.InfiniteValueError, "load", ["row 9"]),
    "a predictor of nothing": (lambda: model(data=table(load=[None] * ROWS)), e.AllMissingError, "load", ["missing"]),
    "mixed types": (lambda: model(data=replaced("load", r3="high")), e.MixedTypeError, "load", ["row 3", "'high'"]),
    "lists in a predictor": (lambda: model(data=table(load=[[1, 2]] * ROWS)), e.NestedTypeError, "load", ["list"]),
    "durations": (
        lambda: model(data=table(load=pd.to_timedelta(np.arange(ROWS), unit="s"))),
        e.ColumnTypeError,
        "load",
        ["seconds"],
    ),
    "mixed time zones": (
        lambda: model(
            "errors ~ rw(stamp)",
            data=table(stamp=[dt.datetime(2024, 1, 1, h, tzinfo=dt.UTC if h % 2 else None) for h in range(ROWS)]),
        ),
        e.TimezoneError,
        "stamp",
        ["time zone"],
    ),
    "times as a common effect": (lambda: model("errors ~ stamp"), e.ColumnTypeError, "stamp", ["time", "season(", "rw("]),
    "a constant predictor": (lambda: model(data=table(load=[2.0] * ROWS)), e.DesignError, "load", ["one value", "2"]),
    "a factor of one level": (
        lambda: model("errors ~ region", data=table(region=["east"] * ROWS)),
        e.LevelError,
        "region",
        ["one level"],
    ),
    "a group of one level": (
        lambda: model("errors ~ (1 | region)", data=table(region=["east"] * ROWS)),
        e.LevelError,
        "region",
        ["two levels"],
    ),
    "a predictor and its double": (
        lambda: model("errors ~ load + `double load`", data=SHIFTED),
        e.DesignError,
        "double load",
        ["combination of load"],
    ),
    "a sum of two predictors": (
        lambda: model("errors ~ load + size + total", data=SHIFTED),
        e.DesignError,
        "total",
        ["load, size"],
    ),
    "a factor nested in another": (
        lambda: model("errors ~ region + zone", data=table(zone=["e", "n", "w"] * 4)),
        e.DesignError,
        "zone[n]",
        ["region[north]"],
    ),
    "collinear in the zero part": (
        lambda: model(family="zero_inflated_poisson", zero="~ load + `double load`", data=SHIFTED),
        e.DesignError,
        "double load",
        ["load"],
    ),
    "collinear slopes of a group": (
        lambda: model("errors ~ (load + `double load` | service)", data=SHIFTED),
        e.DesignError,
        "double load",
        ["load"],
    ),
    "a constant slope of a group": (
        lambda: model("errors ~ (load | service)", data=table(load=[2.0] * ROWS)),
        e.DesignError,
        "load",
        ["one value"],
    ),
    "text in a spline": (lambda: model("errors ~ s(region)"), e.ColumnTypeError, "region", ["category"]),
    "the logarithm of zero": (
        lambda: model("errors ~ log(errs)", data=table(errs=np.arange(ROWS))),
        e.ColumnTypeError,
        "errs",
        ["log()", "row 0"],
    ),
    "the logarithm of text": (lambda: model("errors ~ log(region)"), e.ColumnTypeError, "region", ["category"]),
    "the scale of a constant": (
        lambda: model("errors ~ scale(load)", data=table(load=[1.0] * ROWS)),
        e.DesignError,
        "load",
        ["sd"],
    ),
    "NaN in an offset": (
        lambda: model("errors ~ offset(load)", data=array_of("load", r2=np.nan)),
        e.MissingValueError,
        "load",
        ["row 2"],
    ),
    "an offset of text": (lambda: model("errors ~ offset(region)"), e.ColumnTypeError, "region", ["category"]),
    "an offset of the logarithm of zero": (
        lambda: model("errors ~ offset(log(requests))", data=array_of("requests", r0=0)),
        e.ColumnTypeError,
        "requests",
        ["log()", "row 0"],
    ),
    "a polynomial of too high a degree": (
        lambda: model("errors ~ poly(copies, 3)"),
        e.DesignError,
        "copies",
        ["degree 3", "3 distinct"],
    ),
    "a spline of too few functions": (lambda: model("errors ~ bs(load, df=2)"), e.DesignError, "load", ["df=2", "degree"]),
    "a spline of too many functions": (lambda: model("errors ~ bs(copies, df=5)"), e.DesignError, "copies", ["df=5", "distinct"]),
    "a reference that is no level": (
        lambda: model('errors ~ C(region, reference="eaast")'),
        e.LevelError,
        "region",
        ["'eaast'", "Did you mean 'east'"],
    ),
    "a bucket that is no level": (lambda: model('errors ~ C(region, unknown="other")'), e.LevelError, "region", ["'other'"]),
    # the formula
    "no tilde": (lambda: model("errors load"), FormulaError, None, ["`~`"]),
    "nothing to the right": (lambda: model("errors ~"), FormulaError, None, ["~ 1"]),
    "an unknown function": (lambda: model("errors ~ lg(load)"), FormulaError, None, ["lg", "Did you mean 'log'"]),
    "an unknown option": (lambda: model("errors ~ bs(load, dg=3)"), FormulaError, None, ["dg", "df"]),
    "code": (lambda: model("errors ~ __import__('os')"), FormulaError, None, ["unknown function"]),
    "no text": (lambda: model(3), FormulaError, None, ["text"]),
    "a group twice": (lambda: model("errors ~ (1 | service) + (1 + load | service)"), FormulaError, None, ["twice"]),
    # the options
    "a misspelt family": (lambda: model(family="poison"), e.UnknownNameError, None, ["Did you mean 'poisson'"]),
    "no family": (lambda: model(family=None), e.UnknownNameError, None, ["None", "poisson"]),
    "a list as a family": (lambda: model(family=["poisson"]), e.UnknownNameError, None, ["poisson"]),
    "zero= for a poisson": (lambda: model(zero="~ load"), e.OptionError, None, ["no zero parameter", "zero_inflated_poisson"]),
    "dispersion= for a poisson": (
        lambda: model(dispersion="~ load"),
        e.OptionError,
        None,
        ["no dispersion parameter", "negative_binomial"],
    ),
    "zero= with a response": (
        lambda: model(family="zero_inflated_poisson", zero="errors ~ load"),
        FormulaError,
        None,
        ["response"],
    ),
    "a formula of an unknown parameter": (
        lambda: model(family="negative_binomial", formulas={"concentraton": "~ load"}),
        e.OptionError,
        None,
        ["Did you mean 'concentration'"],
    ),
    "a second formula of the mean": (lambda: model(formulas={"mu": "~ load"}), e.OptionError, None, ["first argument"]),
    "two formulas of one parameter": (
        lambda: model(family="negative_binomial", dispersion="~ load", formulas={"concentration": "~ size"}),
        e.OptionError,
        None,
        ["concentration"],
    ),
    "an unknown link": (lambda: model(links={"mu": "logg"}), e.OptionError, None, ["log"]),
    "a link of an unknown parameter": (lambda: model(links={"nu": "log"}), e.OptionError, None, ["mu"]),
    "a link of a constant": (
        lambda: model(family="negative_binomial", links={"concentration": "log"}),
        e.OptionError,
        None,
        ["formula"],
    ),
    "a scaled concentration of a poisson": (
        lambda: model(exposure="requests", dispersion_scaling="exposure"),
        e.OptionError,
        None,
        ["concentration"],
    ),
    "a scaled concentration of NB1": (
        lambda: model(family="negative_binomial_nb1", exposure="requests", dispersion_scaling="exposure"),
        e.OptionError,
        None,
        ["delta"],
    ),
    "a scaled concentration without exposure": (
        lambda: model(family="negative_binomial", dispersion_scaling="exposure"),
        e.OptionError,
        None,
        ["exposure="],
    ),
    "a misspelt scaling": (
        lambda: model(family="negative_binomial", exposure="requests", dispersion_scaling="expsure"),
        e.OptionError,
        None,
        ["Did you mean 'exposure'"],
    ),
    "a prior of no parameter": (lambda: model(priors={"laod": Normal(0, 1)}), e.PriorError, "laod", ["Did you mean 'load'"]),
    "a prior of the wrong support": (lambda: model(priors={"load": HalfNormal(1)}), e.PriorError, "load", ["any number"]),
    "a normal prior of a scale": (
        lambda: model("errors ~ (1 | service)", priors={"sd_service": Normal(0, 1)}),
        e.PriorError,
        "sd_service",
        ["positive"],
    ),
    "a number as a prior": (lambda: model(priors={"load": 1.0}), e.PriorError, "load", ["bg.priors.Normal"]),
    "numbers as exposure": (lambda: model(exposure=np.ones(ROWS)), e.OptionError, None, ["exposure=", "column"]),
    "a number as weights": (lambda: model(weights=2), e.OptionError, None, ["weights=", "column"]),
    "an interaction with an empty cell": (
        lambda: model("errors ~ region*deploy", data=table(deploy=np.arange(ROWS) % 3 == 1)),
        e.DesignError,
        "region[west]:deploy",
        ["combination"],
    ),
    "a list of priors": (lambda: model(priors=[Normal(0, 1)]), e.OptionError, None, ["priors=", "mapping"]),
    "a negative sd in a prior": (lambda: Normal(0, -1), e.PriorError, "sigma", ["above 0"]),
    "NaN in a prior": (lambda: Normal(np.nan, 1), e.PriorError, "mu", ["finite"]),
    "a text as formulas": (lambda: model(formulas="~ load"), e.OptionError, None, ["formulas=", "mapping"]),
    "a text as context": (lambda: model(context="region"), e.OptionError, None, ["context=", "['region']"]),
    # names
    "a group called obs": (
        lambda: model("errors ~ (1 | obs)", data=table(obs=["a", "b"] * 6)),
        e.ColumnTypeError,
        "obs",
        ["Rename"],
    ),
    "a group called chain": (
        lambda: model("errors ~ (1 | chain)", data=table(chain=["a", "b"] * 6)),
        e.ColumnTypeError,
        "chain",
        ["Rename"],
    ),
    "a group called beta": (
        lambda: model("errors ~ load + (1 | beta)", data=table(beta=["a", "b"] * 6)),
        e.ColumnTypeError,
        "beta",
        ["Rename"],
    ),
    "a group called as the effects of another": (
        lambda: model("errors ~ (1 | service) + (1 | service_effect)", data=table(service_effect=["a", "b"] * 6)),
        e.ColumnTypeError,
        "service_effect",
        ["Rename"],
    ),
    "a group with a slash": (
        lambda: model("errors ~ (1 | `a/b`)", data=table(**{"a/b": ["a", "b"] * 6})),
        e.ColumnTypeError,
        "a/b",
        ["slash"],
    ),
    "a predictor called as a column of predictions": (
        lambda: model("errors ~ groups", data=table(groups=["a", "b"] * 6)),
        e.ColumnNameError,
        "groups",
        ["Rename", "new_level"],
    ),
    "context called as a column of predictions": (
        lambda: model(context=["rows"], data=table(rows=["a", "b"] * 6)),
        e.ColumnNameError,
        "rows",
        ["Rename"],
    ),
    "a response with a slash": (
        lambda: model("`a/b` ~ load", data=table(**{"a/b": np.arange(ROWS)})),
        e.ColumnTypeError,
        "a/b",
        ["slash"],
    ),
    "a category with a slash": (
        lambda: model("region ~ load", "categorical", table(region=["lost", "n/a"] * 6)),
        e.ColumnTypeError,
        "region",
        ["slash", "level"],
    ),
    "a response called exposure": (
        lambda: model("exposure ~ load", data=table(exposure=np.arange(ROWS))),
        e.ColumnTypeError,
        "exposure",
        ["Rename"],
    ),
    "a response called centre": (
        lambda: model("centre ~ load", data=table(centre=np.arange(ROWS))),
        e.ColumnTypeError,
        "centre",
        ["Rename"],
    ),
    "a group called concentration": (
        lambda: model("errors ~ (1 | concentration)", "negative_binomial", table(concentration=["a", "b"] * 6)),
        e.ColumnTypeError,
        "concentration",
        ["Rename"],
    ),
    "a response called Intercept": (
        lambda: model("Intercept ~ load", data=table(Intercept=np.arange(ROWS))),
        e.ColumnTypeError,
        "Intercept",
        ["Rename"],
    ),
    "a response called as a scale of the model": (
        lambda: model("sd_service ~ (1 | service)", data=table(sd_service=np.arange(ROWS))),
        e.ColumnTypeError,
        "sd_service",
        ["Rename"],
    ),
}


@cache
def counted():
    """Return a fit of counts with exposure, a factor, a group and a boolean."""
    return by_hand(
        model(
            "errors ~ load + region + deploy + (1 | service)",
            "negative_binomial",
            exposure="requests",
            exposure_unit="requests",
            time="stamp",
            context=["key"],
        )
    )


@cache
def tried():
    return by_hand(model("errors | trials(tries) ~ load + bs(size, df=4)", "binomial"))


@cache
def categorical():
    return by_hand(model("region ~ load", "categorical"))


NEW = table()
PREDICTIONS = {
    "new data without a predictor": (
        lambda: counted().predict(table(load=None)),
        e.MissingColumnError,
        "load",
        ["no such column"],
    ),
    "new data without the group": (
        lambda: counted().predict(table(service=None)),
        e.MissingColumnError,
        "service",
        ["no such column"],
    ),
    "new data without exposure": (
        lambda: counted().predict(table(requests=None)),
        e.ExposureError,
        "requests",
        ["exposure=", "rate"],
    ),
    "new data without trials": (lambda: tried().predict(table(tries=None)), e.MissingColumnError, "tries", ["no such column"]),
    "no rows": (lambda: counted().predict(table()[:0]), e.EmptyTableError, None, ["no rows"]),
    "no data frame": (lambda: counted().predict([1, 2]), e.NotATableError, None, ["list"]),
    "NaN in new data": (lambda: counted().predict(array_of("load", r4=np.nan)), e.MissingValueError, "load", ["row 4"]),
    "NaN in a new group": (lambda: counted().predict(replaced("service", r4=None)), e.MissingValueError, "service", ["row 4"]),
    "infinity in new data": (lambda: counted().predict(array_of("load", r4=np.inf)), e.InfiniteValueError, "load", ["row 4"]),
    "a new level of a common factor": (
        lambda: counted().predict(replaced("region", r2="south")),
        e.LevelError,
        "region",
        ["'south'", "row 2", "(1 | region)"],
    ),
    "text where numbers were": (lambda: counted().predict(table(load=["high"] * ROWS)), e.ColumnTypeError, "load", ["numbers"]),
    "numbers where text was": (lambda: counted().predict(table(region=[1] * ROWS)), e.ColumnTypeError, "region", ["strings"]),
    "a number that is no boolean": (
        lambda: counted().predict(table(deploy=[2] * ROWS)),
        e.ColumnTypeError,
        "deploy",
        ["boolean"],
    ),
    "a zone on new times": (
        lambda: counted().predict(table(stamp=pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="UTC"))),
        e.TimezoneError,
        "stamp",
        ["zone"],
    ),
    "a negative new exposure": (
        lambda: counted().predict(array_of("requests", r1=-3)),
        e.NegativeExposureError,
        "requests",
        ["row 1", "-3"],
    ),
    "a missing new exposure": (
        lambda: counted().predict(array_of("requests", r1=np.nan)),
        e.MissingValueError,
        "requests",
        ["row 1"],
    ),
    "another unit": (
        lambda: counted().predict(NEW, exposure_unit="thousand requests"),
        e.UnitError,
        "requests",
        ["thousand requests", "Convert"],
    ),
    "another unit of a given exposure": (
        lambda: counted().predict(NEW, exposure=1.0, exposure_unit="days"),
        e.UnitError,
        "requests",
        ["days", "Convert"],
    ),
    "exposure of the wrong length": (
        lambda: counted().predict(NEW, exposure=[1.0, 2.0]),
        e.ExposureError,
        "requests",
        ["(2,)", "(12,)"],
    ),
    "exposure of the wrong draws": (
        lambda: counted().predict(NEW, exposure=np.ones((3, ROWS))),
        e.ExposureError,
        "requests",
        ["(3, 12)", "(200, 12)"],
    ),
    "a negative given exposure": (lambda: counted().predict(NEW, exposure=-1.0), e.ExposureError, "requests", [">= 0"]),
    "a given exposure of NaN": (lambda: counted().predict(NEW, exposure=np.nan), e.ExposureError, "requests", [">= 0"]),
    "a text as given exposure": (lambda: counted().predict(NEW, exposure="requests"), e.ExposureError, "requests", ["number"]),
    "exposure for a fit without": (lambda: tried().predict(NEW, exposure=2.0), e.OptionError, None, ["without exposure"]),
    "a unit for a fit without": (lambda: tried().predict(NEW, exposure_unit="hours"), e.OptionError, None, ["without exposure"]),
    "exposure without rows": (lambda: counted().predict(exposure=2.0), e.OptionError, None, ["new_data"]),
    "new trials that are none": (lambda: tried().predict(array_of("tries", r1=0.5)), e.TrialsError, "tries", ["0.5"]),
    "beyond an unpenalised spline": (lambda: tried().predict(array_of("size", r1=9.0)), e.DesignError, "size", ["9", "s()"]),
    "an unknown quantity": (lambda: counted().predict(quantities=["expectd"]), e.OptionError, None, ["Did you mean 'expected'"]),
    "a text as quantities": (lambda: counted().predict(quantities="rate").to_frame(), e.OptionError, None, ["('rate',)"]),
    "no quantities": (lambda: counted().predict(quantities=()), e.OptionError, None, ["rate"]),
    "unknown groups": (lambda: counted().predict(groups="mean"), e.OptionError, None, ["conditional", "population", "typical"]),
    "no draws": (lambda: counted().predict(samples=0), e.OptionError, None, ["samples"]),
    "rates per nothing": (lambda: counted().predict(per=0), e.OptionError, None, ["per"]),
    "a level of 90": (lambda: counted().predict().to_frame(level=90), e.OptionError, "level", ["between 0 and 1"]),
    "a level of 0": (lambda: counted().predict().to_frame(level=0.0), e.OptionError, "level", ["between 0 and 1"]),
    "a level of 1 in the summary": (lambda: counted().summary(level=1.0), e.OptionError, "level", ["between 0 and 1"]),
    "sums by an unknown column": (
        lambda: counted().predict().sum(by="regoin"),
        e.MissingColumnError,
        "regoin",
        ["Did you mean 'region'"],
    ),
    "sums of rates": (lambda: counted().predict(quantities=["rate"]).sum(), e.OptionError, None, ["rate", "mean"]),
    "thresholds without draws": (lambda: counted().predict(quantities=["rate"]).exceeds(3), e.OptionError, None, ["predicted"]),
    "thresholds of another length": (lambda: counted().predict().exceeds([1, 2]), e.OptionError, None, ["(2,)", "12"]),
    "thresholds of categories": (lambda: categorical().predict().exceeds(1), e.OptionError, None, ["categor"]),
    "a contrast of an unknown column": (
        lambda: counted().contrast({"deply": 0}, {"deply": 1}),
        e.MissingColumnError,
        "deply",
        ["Did you mean 'deploy'"],
    ),
    "a contrast of an unknown level": (
        lambda: counted().contrast({"region": "east"}, {"region": "south"}),
        e.LevelError,
        "region",
        ["'south'"],
    ),
    "a contrast of text": (
        lambda: counted().contrast({"load": 0}, {"load": "high"}),
        e.ColumnTypeError,
        "load",
        ["'high'", "number"],
    ),
    "a contrast of NaN": (lambda: counted().contrast({"load": 0}, {"load": np.nan}), e.MissingValueError, "load", ["finite"]),
    "a contrast of a number that is no boolean": (
        lambda: counted().contrast({"deploy": 0}, {"deploy": 2}),
        e.ColumnTypeError,
        "deploy",
        ["2", "boolean"],
    ),
    "a contrast of predictions": (
        lambda: counted().contrast({"load": 0}, {"load": 1}, quantity="predicted"),
        e.OptionError,
        None,
        ["expected"],
    ),
    "a contrast of categories": (
        lambda: categorical().contrast({"load": 0}, {"load": 1}),
        e.OptionError,
        None,
        ["categorical", "predict()"],
    ),
    "a contrast of nothing": (lambda: counted().contrast(3, {"load": 1}), e.OptionError, None, ["mapping"]),
    "an unknown engine": (lambda: model().fit(engine="nutz"), e.UnknownNameError, None, ["Did you mean 'nuts'"]),
    "an unknown setting": (lambda: model().fit(drws=10), e.UnknownNameError, None, ["Did you mean 'draws'"]),
    "no draws to keep": (lambda: model().fit(draws=0), e.EngineError, "draws", ["at least 1"]),
    "half a chain": (lambda: model().fit(chains=1.5), e.EngineError, "chains", ["whole"]),
    "a target of 1": (lambda: model().fit(target_accept=1.0), e.EngineError, "target_accept", ["between 0 and 1"]),
    "a text as a seed": (lambda: model().fit(seed="one"), e.OptionError, "seed", ["whole"]),
    "a negative seed": (lambda: model().fit(seed=-1), e.OptionError, "seed", ["-1"]),
}
CASES = {**MODELS, **PREDICTIONS}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_input_is_refused(case):
    act, kind, column, words = CASES[case]
    with pytest.raises(e.BayesGLMError) as caught:
        act()
    error = caught.value
    assert type(error) is kind, str(error)
    assert error.column == column
    for word in words:
        assert word in str(error)
    assert error.rule
    assert error.fix
    assert str(error).rstrip()[-1:] not in {",", ";", ":"}


def test_there_are_many_and_they_differ():
    assert len(CASES) >= 150
    assert not set(MODELS) & set(PREDICTIONS)


@pytest.mark.parametrize(
    "case",
    [
        (lambda data: model("errors ~ log(load)", data=data), "load", 0.0),
        (lambda data: model("errors ~ offset(log(load))", data=data), "load", -1.0),
    ],
)
def test_rows_are_those_of_the_table_and_not_of_its_patterns(case):
    act, column, value = case
    load = np.repeat([1.0, 2.0, value], [5, 4, 3])
    with pytest.raises(e.BayesGLMError) as caught:
        act(table(**{column: load}))
    assert caught.value.rows[0] == 9


def test_a_new_level_is_found_in_its_row_of_the_new_data():
    with pytest.raises(e.LevelError) as caught:
        counted().predict(pd.concat([table()[:1]] * 5 + [table(region=["south"] * ROWS)[:1]], ignore_index=True))
    assert caught.value.rows == (5,)


NAMES = (
    "größe",
    "a b",
    "x`y",
    "class",
    "<script>",
    "__import__('os')",
    "x;drop",
    "rocket 🚀",
    "%s {0}",
    "a.b",
    " ",
    'q"uote',
    "1x",
    "x:y",
    "a|b",
    "mu",
    "name",
    "index",
    "obs",
    "beta",
)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_names(name):
    column = str(Variable(name))
    number, label = np.sin(np.arange(ROWS)), [f"{name} 1", f"{name} 2", "<b>", "a/b"] * 3
    fit = by_hand(model(f"errors ~ {column}", data=table(**{name: number})))
    assert list(fit.predict(table(**{name: number})).labels[name]) == list(number)
    fit = by_hand(
        model(
            f"errors ~ {column} + (1 | service)",
            data=table(**{name: label, "service": ["a", "b", "c", "d", "a"] * 2 + ["b", "c"]}),
        )
    )
    assert fit.predict(quantities=["expected"]).sum(by=name).labels[name].tolist() == sorted(set(label))
    assert fit.specification.predictors[0].coef[0] == f"{column}[{sorted(set(label))[1]}]"


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"obs", "beta"}))
def test_groups_and_responses_may_have_hostile_names(name):
    column = str(Variable(name))
    label = [f"{name} 1", f"{name} 2", "<b>", "a/b"] * 3
    fit = by_hand(model(f"errors ~ (1 | {column})", data=table(**{name: label})))
    assert set(fit.problem.specification.predictors[0].blocks[0].levels) == set(label)
    assert fit.predict(quantities=["rate"]).labels[name].tolist() == label
    built = model(f"{column} ~ (1 | service)", data=table(**{name: np.arange(ROWS)})).pymc
    assert [each.name for each in built.observed_RVs] == [name]


def test_every_option_of_a_family_is_listed_with_it():
    having = [name for name, family in discover("bayesglm.families", Family).items() if family.with_role("zero")]
    with pytest.raises(e.OptionError) as caught:
        model(zero="~ load")
    assert all(name in caught.value.fix for name in having)


@pytest.mark.parametrize(("what", "article"), [("engine", "an engine"), ("family", "a family")])
def test_unknown_names_read_well(what, article):
    assert f"; {article} must be" in str(e.unknown(what, "x", ["y"]))
