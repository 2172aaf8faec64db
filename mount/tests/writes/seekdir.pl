# Reads a directory to its end and goes back to many places in it. Says where what follows is another name.
use strict;
use warnings;

opendir(my $directory, $ARGV[0]) or die "opendir: $!\n";
my (@names, @places);
while (defined(my $name = readdir $directory)) {
    push @names, $name;
    push @places, telldir $directory;
}
# Backwards over the borders of the source's pages, then forwards again.
my @indexes = grep { $_ < $#names } (2500, 2001, 2000, 1999, 1003, 1002, 1001, 1000, 999, 10, 3, 0, 1500, 2990);
for my $index (@indexes) {
    seekdir $directory, $places[$index];
    for my $next ($index + 1 .. $index + 5) {
        my $name = readdir $directory;
        my $wanted = $names[$next];
        die "from $index: $next is ", $name // 'none', ", not $wanted\n" unless defined $name && $name eq $wanted;
    }
}
print scalar(@names), " names\n";
