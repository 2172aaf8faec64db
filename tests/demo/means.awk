# The mean of each station's readings.
BEGIN { FS = "," }
FNR > 1 { sum[$2] += $3; n[$2]++ }
END { for (station in n) printf "%s,%.3f\n", station, sum[station] / n[station] }
