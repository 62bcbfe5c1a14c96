"""The records of the data sets that ship with the package, one for each CSV file beside this module."""

from __future__ import annotations

from bayesglm.datasets.record import ColumnRecord, DatasetRecord

RECORDS: tuple[DatasetRecord, ...] = (
    DatasetRecord(
        name="coal_disasters",
        title="Coal mining disasters in Britain by year, 1851 to 1962",
        source="Jarrett (1979)",
        citation=(
            "Jarrett, R. G. (1979). A note on the intervals between coal-mining disasters. Biometrika 66, 191-193. "
            "The dates are those of Hand et al. (1994), A Handbook of Small Data Sets, Chapman and Hall, as in the R "
            "data set boot::coal, counted by year."
        ),
        columns=(
            ColumnRecord("year", "int64", "calendar year", "year of the count"),
            ColumnRecord("disasters", "int64", "count", "explosions that killed ten people or more"),
        ),
        rows=112,
        notes=(
            "191 disasters. The record starts on 15 March 1851 and ends on 22 March 1962, so the first and the last "
            "year are observed in part."
        ),
    ),
    DatasetRecord(
        name="old_faithful",
        title="Eruptions of the Old Faithful geyser, Yellowstone",
        source="Härdle (1991); Azzalini and Bowman (1990)",
        citation=(
            "Härdle, W. (1991). Smoothing Techniques with Implementation in S. Springer (R data set "
            "datasets::faithful). A longer version of these data is analysed in Azzalini, A. and Bowman, A. W. "
            "(1990). A look at some data on the Old Faithful geyser. Applied Statistics 39, 357-365."
        ),
        columns=(
            ColumnRecord("eruption_min", "float64", "minutes", "duration of the eruption"),
            ColumnRecord("waiting_min", "int64", "minutes", "time to the next eruption"),
        ),
        rows=272,
        notes="Durations were recorded in seconds and rounded, often to multiples of 5 seconds.",
    ),
    DatasetRecord(
        name="orings",
        title="O-rings in distress on the 23 Space Shuttle flights before the Challenger accident",
        source="Dalal, Fowlkes and Hoadley (1989)",
        citation=(
            "Dalal, S. R., Fowlkes, E. B. and Hoadley, B. (1989). Risk analysis of the Space Shuttle: pre-Challenger "
            "prediction of failure. Journal of the American Statistical Association 84, 945-957."
        ),
        columns=(
            ColumnRecord("flight", "str", "label", "flight of the Space Transportation System, in order of launch"),
            ColumnRecord("temperature_f", "int64", "degrees Fahrenheit", "temperature of the joints at launch"),
            ColumnRecord("pressure_psi", "int64", "pounds per square inch", "pressure of the field joints' leak check"),
            ColumnRecord("distressed", "int64", "count", "primary field-joint O-rings with erosion or blow-by"),
            ColumnRecord("rings", "int64", "count", "primary field-joint O-rings on the flight"),
        ),
        rows=23,
        notes=(
            "Nine O-rings on seven flights. Flight 4 is missing: its boosters were not recovered. Challenger was "
            "launched at 31 degrees Fahrenheit. Pressures are the field joints', as in the UCI repository's copy "
            "(Draper 1993); the R data set vcd::SpaceShuttle gives 50 instead of 100 for flight 8 and 100 instead of "
            "200 for 41-B."
        ),
    ),
    DatasetRecord(
        name="pump_failures",
        title="Failures of ten pumps in a nuclear power plant",
        source="Gaver and O'Muircheartaigh (1987)",
        citation=(
            "Gaver, D. P. and O'Muircheartaigh, I. G. (1987). Robust empirical Bayes analyses of event rates. "
            "Technometrics 29, 1-15."
        ),
        columns=(
            ColumnRecord("pump", "str", "label", "number of the pump"),
            ColumnRecord("failures", "int64", "count", "failures while observed"),
            ColumnRecord("operation_time", "float64", "thousand hours", "time observed: the exposure of the failures"),
            ColumnRecord("mode", "str", "label", "continuous or intermittent operation"),
        ),
        rows=10,
        notes="75 failures. Four pumps (1, 3, 4 and 6) run continuously.",
    ),
    DatasetRecord(
        name="request_latency",
        title="Request latency of a server every five minutes, with three labelled events, the last a failure",
        source="Lavin and Ahmad (2015)",
        citation=(
            "Lavin, A. and Ahmad, S. (2015). Evaluating real-time anomaly detection algorithms: the Numenta Anomaly "
            "Benchmark. 14th IEEE International Conference on Machine Learning and Applications, 38-44. The series "
            "ec2_request_latency_system_failure of its data corpus, with the corpus's anomaly windows. Copyright Numenta "
            "Inc., MIT licence."
        ),
        columns=(
            ColumnRecord("timestamp", "datetime64[ns]", "local time", "start of the five minutes"),
            ColumnRecord("latency", "float64", "not stated in the source", "request latency"),
            ColumnRecord("event", "int64", "number, 0 for none", "labelled anomaly window that the row lies in"),
        ),
        rows=4032,
        notes=(
            "14 days from 7 March 2014. A window is wide around what happened: it starts hours before and ends hours after, "
            "and most of its rows are as usual. One time stands on twelve rows, "
            "where clocks changed."
        ),
    ),
    DatasetRecord(
        name="service_errors",
        title="SIMULATED: hourly errors of eight services, with deployments and one incident",
        source="simulated from a known truth",
        citation="Simulated for this package by bayesglm.datasets.simulate_service_errors; not observed anywhere.",
        columns=(
            ColumnRecord("timestamp", "datetime64[ns]", "UTC", "start of the hour"),
            ColumnRecord("service", "str", "label", "name of the service"),
            ColumnRecord("region", "str", "label", "region the service runs in: ap, eu or us"),
            ColumnRecord("hour", "int64", "hours", "hour of day in UTC, 0 to 23"),
            ColumnRecord("deploy", "int64", "0 or 1", "whether the service was deployed within the last four hours"),
            ColumnRecord("incident", "int64", "0 or 1", "whether the planted incident hit the service in that hour"),
            ColumnRecord("requests", "int64", "count", "requests: the exposure of the errors"),
            ColumnRecord("errors", "int64", "count", "requests that failed"),
        ),
        rows=4032,
        notes=(
            "21 days from Monday 2 March 2026. Negative binomial around a rate per request with a service effect, a "
            "season over the hours of the day, a ratio for deployments and one for the incident, which starts in the "
            "hour of a deployment of checkout and hits every service of region eu. Region has no effect otherwise. "
            "`truth('service_errors')` returns the parameters."
        ),
        simulated=True,
    ),
    DatasetRecord(
        name="ship_incidents",
        title="Damage to the forward section of cargo ships by waves",
        source="McCullagh and Nelder (1989), section 6.3.2",
        citation=(
            "McCullagh, P. and Nelder, J. A. (1989). Generalized Linear Models, 2nd edition. Chapman and Hall, section "
            "6.3.2 (R data set MASS::ships)."
        ),
        columns=(
            ColumnRecord("ship_type", "str", "label", "type of ship, A to E"),
            ColumnRecord("construction", "str", "years", "years of construction"),
            ColumnRecord("period", "str", "years", "period of operation"),
            ColumnRecord("service_months", "int64", "months", "aggregate months of service: the exposure of incidents"),
            ColumnRecord("incidents", "int64", "count", "damage incidents"),
        ),
        rows=40,
        notes=(
            "356 incidents in 163,574 months. Six rows have no months of service and no incidents: the five of ships "
            "built in 1975-79 in the period 1960-74, and type E built in 1960-64 in the period 1975-79. Drop them, or "
            "the log of the exposure is minus infinity."
        ),
    ),
    DatasetRecord(
        name="surgical_deaths",
        title="Deaths after cardiac surgery on babies in twelve hospitals",
        source="BUGS examples, volume I (Spiegelhalter et al. 1996)",
        citation=(
            "Spiegelhalter, D., Thomas, A., Best, N. and Gilks, W. (1996). BUGS 0.5 Examples, Volume 1, 'Surgical: "
            "institutional ranking'. MRC Biostatistics Unit, Cambridge."
        ),
        columns=(
            ColumnRecord("hospital", "str", "label", "hospital, A to L"),
            ColumnRecord("operations", "int64", "count", "operations: the trials"),
            ColumnRecord("deaths", "int64", "count", "deaths"),
        ),
        rows=12,
        notes="208 deaths in 2,814 operations; hospital A had none in 47.",
    ),
)
