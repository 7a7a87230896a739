"""
Anomalies of a machine's sensors, with reasons
==============================================

Three sensors of a pump, read every hour: temperature, vibration and current. The series is
**simulated**: all follow the load of the day; in the last days come a spike of the vibration, a
temperature sensor that stands still, and a current that no longer follows the load while each of
its values is ordinary.

With ``window`` a model reads rows together with those before and after them.
"""

import numpy as np
import pandas as pd

from maetab import MAEAnomalyDetector, MAEImputer
from maetab.plot import SeriesAnomalyDisplay

generator = np.random.default_rng(0)
hours = pd.date_range("2024-03-01", periods=24 * 28, freq="h", name="time")
load = np.clip(np.sin(2 * np.pi * (hours.hour - 6) / 24), 0, None) * (
    1 - 0.4 * (hours.day_of_week > 4)
)
load = load + generator.normal(0, 0.05, len(hours))
pump = pd.DataFrame(index=hours)
pump["temperature"] = 40 + 15 * load + generator.normal(0, 0.6, len(hours))
pump["vibration"] = 2 + 1.5 * load + generator.normal(0, 0.12, len(hours))
pump["current"] = 5 + 8 * load + generator.normal(0, 0.3, len(hours))

faults = {
    "vibration spikes": slice("2024-03-22 10:00", "2024-03-22 11:00"),
    "temperature stands still": slice("2024-03-24 08:00", "2024-03-24 22:00"),
    "current does not follow": slice("2024-03-26 09:00", "2024-03-26 15:00"),
}
pump.loc[faults["vibration spikes"], "vibration"] += 4
still = faults["temperature stands still"]
pump.loc[still, "temperature"] = pump.loc[still, "temperature"].iloc[0]
unmoved = faults["current does not follow"]
pump.loc[unmoved, "current"] = 6 + generator.normal(0, 0.3, len(pump.loc[unmoved]))

past, now = pump[:"2024-03-20"], pump["2024-03-21":]

# %%
# Fit on the past, which is taken for normal; score the days since. ``contamination`` is the share
# of the past that would give an alarm.

detector = MAEAnomalyDetector(window="12h", contamination=0.01, random_state=0).fit(past)
alarm = pd.Series(detector.predict(now) == -1, index=now.index)

# %%
# A baseline: the largest number of standard deviations from the mean of the hour of the day, with
# the same share of alarms in the past. It knows the day, not the other sensors, nor weekends.

by_hour = past.groupby(past.index.hour)


def deviations(frame):
    hour = frame.index.hour
    middle, spread = by_hour.mean().loc[hour], by_hour.std().loc[hour]
    return ((frame - middle.to_numpy()) / spread.to_numpy()).abs().max(axis=1)


simple = deviations(now) > deviations(past).quantile(0.99)

faulty = pd.Series(False, index=now.index)
for name, when in faults.items():
    faulty.loc[when] = True
    print(
        f"{name:25} {len(now.loc[when]):3} hours, alarms: "
        f"detector {alarm.loc[when].sum():3}, baseline {simple.loc[when].sum():3}"
    )
usual = f"{'normal hours':25} {(~faulty).sum():3} hours, alarms: "
print(usual + f"detector {alarm[~faulty].sum():3}, baseline {simple[~faulty].sum():3}")

# %%
# The reasons
# -----------
#
# ``explain`` has a line for each stretch of alarms and column: what was seen, what was expected
# from the other sensors and the hours around, and why it is told. Of sensors that contradict each
# other for hours, each within its range, it may tell one that is right: in the third fault the
# temperature, which does not go with the current.

reasons = detector.explain(now, top=4, n_columns=1)
columns = ["time", "length", "column", "value", "expected", "low", "high", "surprise"]
print(reasons[columns].to_string(index=False))
for line in reasons.itertuples():
    print(f"{line.time:%d %B %H:%M}, {line.column}: {line.reason}")

# %%
# The display draws the same: the series, what was expected, and the stretches of alarms.

imputer = MAEImputer.from_fitted(detector)
display = SeriesAnomalyDisplay.from_estimators(detector, imputer, now).plot()
found = sum(bool(alarm.loc[when].any()) for when in faults.values())
false = int(alarm[~faulty].sum())
words = f"{found} of {len(faults)} faults found, {false} alarms in {(~faulty).sum()} normal hours"
display.axes_[-1].set_title(words, fontsize=10)
print(words)

# %%
# Hours around a fault give alarms too, because the fault is in their window: that is the price of
# reading rows together. So does the first Saturday, whose load is low; the past held few weekends.
# Where alarms are dear, a lower ``contamination`` or a shorter window gives fewer, and may miss a
# fault. The baseline is a hard one here, for this machine keeps to the hour of the day; it tells
# neither why nor what was expected. One simulated series shows how it works, not how good it is:
# :doc:`/results/series` has measurements on real ones.
