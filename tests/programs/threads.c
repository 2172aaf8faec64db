/* Writes LINES numbered lines to its standard output and exits. It does not close it, and its threads sleep: the
 * kernel kills those, and the last of them to go closes the file. A Java program ends like this.
 *
 *   threads LINES
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 8 };

static void *sleeping(void *unused) {
	for (;;)
		pause();
	return unused;
}

int main(int count, char **arguments) {
	pthread_t thread;
	long lines = count > 1 ? atol(arguments[1]) : 0;
	for (int n = 0; n < THREADS; n++)
		if (pthread_create(&thread, NULL, sleeping, NULL))
			return 1;
	for (long line = 0; line < lines; line++)
		if (printf("%019ld\n", line) < 0)
			return 1;
	if (fflush(stdout))
		return 1;
	_exit(0);
}
