module sluice/bench/lease

go 1.22

require github.com/jackc/puddle/v2 v2.2.3
